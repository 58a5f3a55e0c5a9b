import { getMetadataStorage as validators, ValidationTypes } from "class-validator";
import { getMetadataStorage as types } from "./audit/type-graphql.js";

/** A class of inputs or of arguments, as type-graphql knows it. */
type InputClass = ReturnType<typeof types>["inputTypes"][number];
/** One of its members. */
type Member = ReturnType<typeof types>["fields"][number];

/**
 * Members of the resolvers' input classes that nothing checks, each with what to write. class-validator passes over a member
 * without a validator; of a class that has none at all it refuses each value, as if that were the caller's fault. Arguments
 * with `validate: false` are their resolver's own to check. Empty where nothing is forgotten.
 */
export function inputFindings(resolvers: readonly object[]): string[] {
  const found = new Set<InputClass>();
  for (const param of types().params) {
    if (param.kind !== "arg" && param.kind !== "args") continue;
    if (param.validateSettings === false || param.validateFn !== undefined) continue;
    if (resolvers.some((resolver) => isOrExtends(resolver, param.target))) collect(param.getType(), found);
  }
  return [...found].flatMap((input) => membersOf(input).flatMap((member) => finding(input, member) ?? []));
}

/** Adds an input class, and those of its members; scalars and enums are none. */
function collect(type: unknown, found: Set<InputClass>): void {
  const input = inputClass(type);
  if (!input || found.has(input)) return;
  found.add(input);
  for (const { getType } of membersOf(input)) collect(getType(), found);
}

function finding({ target }: InputClass, { name, getType }: Member): string | null {
  const place = `${target.name}.${name}`;
  const kinds = validators()
    .getTargetValidationMetadatas(target, "", false, false)
    .filter(({ propertyName, type }) => propertyName === name && type !== ValidationTypes.CONDITIONAL_VALIDATION)
    .map(({ type }) => type);
  if (kinds.includes(ValidationTypes.WHITELIST) || kinds.includes(ValidationTypes.NESTED_VALIDATION)) return null;
  if (inputClass(getType())) return `${place} is an input that nothing looks into: add @ValidateNested().`;
  if (kinds.length > 0) return null;
  return `${place} has no validator: add one of class-validator's, or @Allow() where any value of its type will do.`;
}

const allClasses = (): readonly InputClass[] => [...types().inputTypes, ...types().argumentTypes];
const inputClass = (type: unknown): InputClass | undefined => allClasses().find(({ target }) => target === type);

/** Those of the class itself and of the input classes that it extends; of one name the nearest. */
function membersOf({ target }: InputClass): readonly Member[] {
  const classes = allClasses().filter((other) => isOrExtends(target, other.target));
  const members = types().fields.filter((field) => classes.some((it) => it.target === field.target));
  const byName = new Map(members.map((member) => [member.name, member]));
  for (const own of members.filter((member) => member.target === target)) byName.set(own.name, own);
  return [...byName.values()];
}

const isOrExtends = (type: object, base: object): boolean =>
  type === base || Object.prototype.isPrototypeOf.call(base, type);
