import { randomUUID } from "node:crypto";
import type { Attempt, Wish } from "./attempt.js";
import type { Random } from "./random.js";

/** What a client asks for, before it is known for whom. */
type Asked = Pick<Wish, "operation" | "input">;

const selections = {
  Device: "id serialNumber name status firmwareVersion",
  Chat: "id ownerId parentChatId title archived pinOrder labels mode planMode mcpServerIds workspaceId",
  Group: "id name",
  GroupBudget: "groupId spendLimitMicros",
} as const;
type Type = keyof typeof selections;

/** Every mutation that is drilled, with what it returns. */
const operations: Readonly<Record<string, Type>> = {
  createDevice: "Device",
  updateDevice: "Device",
  deleteDevice: "Device",
  createChat: "Chat",
  updateChat: "Chat",
  archiveChats: "Chat",
  deleteChat: "Chat",
  createGroup: "Group",
  updateGroup: "Group",
  deleteGroup: "Group",
  upsertGroupBudget: "GroupBudget",
  deleteGroupBudget: "GroupBudget",
};

/** The document that calls an operation with one variable, `input`. */
export function queryOf(operation: string): string {
  const type = operations[operation];
  if (!type) throw new Error(`There is no operation ${operation} to drill.`);
  const input = `${operation.charAt(0).toUpperCase()}${operation.slice(1)}Input`;
  return `mutation ($input: ${input}!) { ${operation}(input: $input) { ${selections[type]} } }`;
}

const MOST_KNOWN = 300;

/** What the clients of one tenant know of its rows, so that they change, archive and delete what others made. */
export class KnownRows {
  readonly #ids = { Device: [] as string[], Chat: [] as string[], Group: [] as string[] };
  #serials = 0;

  constructor(readonly tenantId: string) {}

  /** Learns from an answer what there is now, and what is gone. */
  learn({ operation, told }: Attempt): void {
    const type = operations[operation];
    const result = told?.data?.[operation];
    if (!type || type === "GroupBudget" || !isRow(result)) return;
    const ids = this.#ids[type];
    if (operation.startsWith("create") && ids.length < MOST_KNOWN) ids.push(result.id);
    if (operation.startsWith("delete") && ids.includes(result.id)) ids.splice(ids.indexOf(result.id), 1);
  }

  /** Anything that a client may ask for, some of it in vain. */
  draw(random: Random): Asked {
    const kinds = [() => this.#device(random), () => this.#chat(random), () => this.#group(random)];
    const kind = random.pick(kinds);
    if (!kind) throw new Error("There is nothing to ask for.");
    return random.next() < 0.06 ? this.#vain(random) : kind();
  }

  #device(random: Random): Asked {
    const id = random.pick(this.#ids.Device);
    const chance = random.next();
    if (id === undefined || chance < 0.25) {
      const serialNumber = `SN-${this.tenantId}-${String(this.#serials++)}`;
      const secret = random.next() < 0.5 ? { provisioningSecret: `canary-${randomUUID()}` } : {};
      return { operation: "createDevice", input: { serialNumber, name: nameOf("Sensor", random), ...secret } };
    }
    if (chance < 0.35) return { operation: "deleteDevice", input: { id } };
    const changes = [
      { name: nameOf("Sensor", random) },
      { status: random.pick(["ACTIVE", "SUSPENDED", "RETIRED"]) },
      { firmwareVersion: random.next() < 0.3 ? null : `2.${String(random.between(0, 99))}` },
      { provisioningSecret: `canary-${randomUUID()}`, name: nameOf("Keyed", random) },
    ];
    return { operation: "updateDevice", input: { id, ...random.pick(changes) } };
  }

  #chat(random: Random): Asked {
    const id = random.pick(this.#ids.Chat);
    const chance = random.next();
    if (id === undefined || chance < 0.3) {
      const parent = id !== undefined && random.next() < 0.5 ? { parentChatId: id } : {};
      const labels = { topic: nameOf("topic", random), weight: random.between(0, 9) };
      return { operation: "createChat", input: { title: nameOf("Plan", random), labels, ...parent } };
    }
    if (chance < 0.4) return { operation: "deleteChat", input: { id } };
    if (chance < 0.55) {
      const ids = Array.from({ length: random.between(1, 4) }, () => random.pick(this.#ids.Chat) ?? id);
      return { operation: "archiveChats", input: { ids: [...new Set(ids)] } };
    }
    const changes = [
      { title: nameOf("Plan", random) },
      { archived: random.next() < 0.5 },
      { labels: { topic: nameOf("topic", random) }, pinOrder: random.between(0, 9) },
      { mcpServerIds: [nameOf("mcp", random), nameOf("mcp", random)], planMode: null },
    ];
    return { operation: "updateChat", input: { id, ...random.pick(changes) } };
  }

  #group(random: Random): Asked {
    const id = random.pick(this.#ids.Group);
    const chance = random.next();
    if (id === undefined || chance < 0.2)
      return { operation: "createGroup", input: { name: nameOf("Research", random) } };
    if (chance < 0.27) return { operation: "deleteGroup", input: { id } };
    if (chance < 0.4) return { operation: "deleteGroupBudget", input: { groupId: id } };
    if (chance < 0.55) return { operation: "updateGroup", input: { id, name: nameOf("Science", random) } };
    const spendLimitMicros = String(random.between(0, 1_000_000) * 1_000_000);
    return { operation: "upsertGroupBudget", input: { groupId: id, spendLimitMicros } };
  }

  /** What isn't there, what is taken, and what can't be. */
  #vain(random: Random): Asked {
    const asked: Asked[] = [
      { operation: "updateDevice", input: { id: randomUUID(), name: nameOf("Sensor", random) } },
      { operation: "createDevice", input: { serialNumber: `SN-${this.tenantId}-0`, name: "taken" } },
      { operation: "createGroup", input: { name: "" } },
      { operation: "archiveChats", input: { ids: [random.pick(this.#ids.Chat) ?? randomUUID(), randomUUID()] } },
    ];
    return random.pick(asked) ?? { operation: "createGroup", input: { name: "" } };
  }
}

const nameOf = (kind: string, random: Random): string => `${kind} ${String(random.between(0, 9_999))}`;

const isRow = (value: unknown): value is { readonly id: string } =>
  typeof value === "object" && value !== null && "id" in value && typeof value.id === "string";
