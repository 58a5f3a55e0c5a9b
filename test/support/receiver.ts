import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** `ReportAuditEntriesInput`, as it came. */
export interface ReceivedInput {
  readonly sessionId: string;
  readonly source: { readonly program: string; readonly version: string; readonly host: string };
  readonly entries: readonly { readonly sequenceNumber?: string | number; readonly [field: string]: unknown }[];
  readonly dropped: readonly { readonly reason: string; readonly sequenceNumbers: readonly (readonly string[])[] }[];
  readonly taken: string | null;
  readonly close: boolean;
}

export interface ReceivedCall {
  readonly token: string | undefined;
  readonly input: ReceivedInput;
}

/** What it does with a call: takes it, never answers, answers garbage, or what a function gives for it, or a promise. */
export type ReceiverMode = "take" | "stall" | "garbage" | ((call: ReceivedCall) => unknown);

/** A server that speaks `reportAuditEntries` as the API does, and remembers what it was told. */
export interface Receiver {
  readonly url: string;
  mode: ReceiverMode;
  /** Calls that came whole, refused ones too. */
  readonly calls: ReceivedCall[];
  /** By session, what was accepted, in the order in which it came, each number once. */
  numbers(sessionId: string): readonly string[];
  /** Entries that came again. */
  repeated(): number;
  /** All that was said of a session beside its entries, without what says nothing. */
  said(sessionId: string): readonly Pick<ReceivedInput, "dropped" | "taken" | "close">[];
  stop(): Promise<void>;
}

/** An answer that refuses the whole call. */
export const refusal = (code: string): unknown => ({ errors: [{ message: `refused: ${code}`, extensions: { code } }] });

export async function startReceiver(port = 0): Promise<Receiver> {
  const sessions = new Map<string, Map<string, string>>();
  let repeats = 0;
  const take = ({ input }: ReceivedCall, refused: readonly { readonly index: number }[] = []): unknown => {
    const known = sessions.get(input.sessionId) ?? new Map<string, string>();
    sessions.set(input.sessionId, known);
    let repeated = 0;
    input.entries.forEach((entry, index) => {
      if (refused.some((it) => it.index === index)) return;
      const number = String(entry.sequenceNumber);
      if (known.has(number)) repeated += 1;
      else known.set(number, JSON.stringify(entry));
    });
    repeats += repeated;
    const accepted = input.entries.length - repeated - refused.length;
    return { data: { reportAuditEntries: { sessionId: input.sessionId, accepted, repeated, refused } } };
  };
  const receiver = { mode: "take" as ReceiverMode, calls: [] as ReceivedCall[] };
  const server = createServer((request, response) => {
    // A process under test is killed amid its calls.
    handle(request, response).catch(() => response.destroy());
  });
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    // Accepts, and never reads.
    if (receiver.mode === "stall") return;
    let text = "";
    for await (const part of request.setEncoding("utf8")) text += String(part);
    const { variables } = JSON.parse(text) as { variables: { input: ReceivedInput } };
    const call = { token: request.headers.authorization?.slice("Bearer ".length), input: variables.input };
    receiver.calls.push(call);
    const { mode } = receiver;
    response.setHeader("content-type", "application/json");
    if (mode === "garbage") return void response.end("<html>not now</html>");
    const told = typeof mode === "function" ? await mode(call) : undefined;
    const refused = Array.isArray(told) ? (told as { readonly index: number }[]) : [];
    response.end(JSON.stringify(told === undefined || Array.isArray(told) ? take(call, refused) : told));
  };
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/graphql`,
    numbers: (sessionId: string) => [...(sessions.get(sessionId)?.keys() ?? [])],
    repeated: () => repeats,
    said: (sessionId: string) =>
      receiver.calls
        .map(({ input }) => input)
        .filter((input) => input.sessionId === sessionId)
        .filter(({ dropped, taken, close }) => dropped.length > 0 || taken !== null || close)
        .map(({ dropped, taken, close }) => ({ dropped, taken, close })),
    stop: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  });
}
