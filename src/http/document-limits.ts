import {
  getNamedType,
  getNullableType,
  isCompositeType,
  isInterfaceType,
  isListType,
  isObjectType,
  Kind,
  OperationTypeNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from "graphql";
import { DEFAULT_PAGE, MAX_PAGE } from "../audit/page-size.js";

/** What one document may ask for. */
export const limits = {
  /** Words, numbers and signs. */
  tokens: 2_000,
  /** Selections with every fragment spelt out. */
  selections: 2_000,
  depth: 12,
  aliases: 100,
  rootFields: 50,
  /** Each is an operation of its own. */
  mutations: 20,
  cost: 10_000,
} as const;

/** A list field that pages: one statement at least. */
const costOfPage = 10;

interface Measures {
  readonly depth: number;
  readonly aliases: number;
  readonly rootFields: number;
  readonly cost: number;
}

/** A valid document's operation, and the variables as the client sent them. */
export interface OperationToMeasure {
  readonly schema: GraphQLSchema;
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  readonly variables: Readonly<Record<string, unknown>>;
}

/**
 * Says which limits an operation goes beyond, each with what it asks and what it may; nothing where it keeps them.
 *
 * An object costs 1, or its field's `complexity`; a page costs 10, and its lists as many times what one of their objects
 * does as `first` or `last` says, 50 times where neither is given. A scalar, `__typename` among them, costs nothing: what
 * bounds those is that each needs an alias to be asked twice. Of introspection, which is allowed in development alone, only
 * the aliases count.
 */
export function beyondLimits(asked: OperationToMeasure): string[] {
  const { depth, aliases, rootFields, cost } = new Measurement(asked).take();
  const isMutation = asked.operation.operation === OperationTypeNode.MUTATION;
  const roots = isMutation ? limits.mutations : limits.rootFields;
  const over = (what: string, value: number, limit: number): string[] =>
    value > limit ? [`${what} ${String(value)} (at most ${String(limit)})`] : [];
  return [
    ...over(isMutation ? "mutations:" : "fields at the root:", rootFields, roots),
    ...over("depth:", depth, limits.depth),
    ...over("aliases:", aliases, limits.aliases),
    ...over("cost:", cost, limits.cost),
  ];
}

/** Walks through the operation. Their length is bounded by the limit on selections, which validation has checked. */
class Measurement {
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  #rootFields = 0;
  #depth = 0;

  constructor(private readonly asked: OperationToMeasure) {
    const definitions = asked.document.definitions.filter((node) => node.kind === Kind.FRAGMENT_DEFINITION);
    this.#fragments = new Map(definitions.map((node) => [node.name.value, node]));
  }

  take(): Measures {
    const { schema, operation } = this.asked;
    const cost = this.#costOf(operation.selectionSet, schema.getRootType(operation.operation), 1);
    return { depth: this.#depth, aliases: this.#aliasesIn(operation.selectionSet), rootFields: this.#rootFields, cost };
  }

  /** Of fields of every kind: each is a value more in the answer, and in a list one for each of its objects. */
  #aliasesIn({ selections }: SelectionSetNode): number {
    let aliases = 0;
    for (const selection of selections) {
      if (selection.kind === Kind.FIELD && selection.alias) aliases += 1;
      const within = selection.kind === Kind.FRAGMENT_SPREAD ? this.#fragments.get(selection.name.value) : selection;
      if (within?.selectionSet) aliases += this.#aliasesIn(within.selectionSet);
    }
    return aliases;
  }

  /** @param page how many objects each list at this level has, as far as it is known */
  #costOf(selectionSet: SelectionSetNode, type: GraphQLNamedType | null | undefined, depth: number, page = 1): number {
    let cost = 0;
    for (const selection of selectionSet.selections) {
      if (selection.kind === Kind.FIELD) {
        cost += this.#costOfField(selection, type, depth, page);
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        const condition = this.#typeNamed(selection.typeCondition?.name.value);
        cost += this.#costOf(selection.selectionSet, condition ?? type, depth, page);
      } else {
        const fragment = this.#fragments.get(selection.name.value);
        if (fragment)
          cost += this.#costOf(fragment.selectionSet, this.#typeNamed(fragment.typeCondition.name.value), depth, page);
      }
    }
    return cost;
  }

  #costOfField(node: FieldNode, parent: GraphQLNamedType | null | undefined, depth: number, page: number): number {
    if (node.name.value.startsWith("__")) return 0;
    this.#depth = Math.max(this.#depth, depth);
    if (depth === 1) this.#rootFields += 1;
    const field = isObjectType(parent) || isInterfaceType(parent) ? parent.getFields()[node.name.value] : undefined;
    if (!field || !node.selectionSet) return 0;
    const type = getNamedType(field.type);
    if (!isCompositeType(type)) return 0;
    const size = this.#pageSize(node, field);
    if (size !== null) return costOfPage + this.#costOf(node.selectionSet, type, depth + 1, size);
    const count = isListType(getNullableType(field.type)) ? page : 1;
    return count * (complexityOf(field) + this.#costOf(node.selectionSet, type, depth + 1));
  }

  /** How many objects a field that pages answers at most; null for one that doesn't. */
  #pageSize(node: FieldNode, field: GraphQLField<unknown, unknown>): number | null {
    if (!field.args.some(({ name }) => name === "first")) return null;
    const sizes = ["first", "last"].flatMap((name) => this.#argument(node, name) ?? []);
    // What is beyond the largest page, or no size at all, the field itself refuses.
    return Math.min(Math.max(1, ...(sizes.length > 0 ? sizes : [DEFAULT_PAGE])), MAX_PAGE);
  }

  #argument(node: FieldNode, name: string): number | undefined {
    const value = node.arguments?.find((argument) => argument.name.value === name)?.value;
    if (value?.kind === Kind.INT) return Number(value.value);
    if (value?.kind !== Kind.VARIABLE) return undefined;
    const { variables } = this.asked;
    const given = variables[value.name.value];
    if (typeof given === "number") return given;
    // A null that is sent is no size, whatever the default: that is for a variable that isn't sent.
    if (Object.hasOwn(variables, value.name.value)) return undefined;
    const definition = this.asked.operation.variableDefinitions?.find(
      ({ variable }) => variable.name.value === value.name.value,
    );
    return definition?.defaultValue?.kind === Kind.INT ? Number(definition.defaultValue.value) : undefined;
  }

  #typeNamed(name: string | undefined): GraphQLNamedType | undefined {
    return name === undefined ? undefined : this.asked.schema.getType(name);
  }
}

/** What the schema itself says that a field costs: more than 1 where it takes a statement of its own. */
function complexityOf({ extensions }: GraphQLField<unknown, unknown>): number {
  const { complexity } = extensions;
  return typeof complexity === "number" ? complexity : 1;
}
