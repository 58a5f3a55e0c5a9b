import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ReceivedEntry {
  readonly sequenceNumber: string;
  readonly claimedAt: string;
  readonly resourceType: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly [member: string]: unknown;
}

/** The input of one call of `reportAuditEntries`. */
export interface ReceivedCall {
  readonly sessionId: string;
  readonly source: { readonly program: string; readonly version: string; readonly host: string };
  readonly entries: readonly ReceivedEntry[];
  readonly dropped?: readonly {
    readonly reason: string;
    readonly sequenceNumbers: readonly (readonly [first: string, last: string])[];
  }[];
  readonly taken?: string;
  readonly close?: boolean;
}

/** What a call is answered with in place of taking it. */
export type Answer =
  | { readonly status?: number; readonly code: string }
  | { readonly status?: number; readonly body: string }
  /** By the place in the call. */
  | { readonly refused: Readonly<Record<number, string>> }
  /** It is taken, and the connection cut in place of an answer. */
  | "cut"
  /** It is read, and never answered. */
  | "stall";

/** What the API knows of a session by the calls. */
export interface ReceivedSession {
  /** By their numbers, in the order in which they came. */
  readonly entries: Map<string, ReceivedEntry>;
  /** Reasons by number. */
  readonly dropped: Map<string, string>;
  repeated: number;
  taken: bigint;
  isClosed: boolean;
}

export interface ReportApi {
  readonly url: string;
  readonly calls: readonly ReceivedCall[];
  /** The headers of each call. */
  readonly headers: readonly IncomingMessage["headers"][];
  readonly sessions: ReadonlyMap<string, ReceivedSession>;
  /** Says how calls are answered; null takes the call. */
  answer: (call: ReceivedCall, count: number) => Answer | null;
  /** The one session that there is. */
  session(): ReceivedSession;
  close(): Promise<void>;
}

/**
 * A server that speaks `reportAuditEntries` and remembers what it was told.
 *
 * @param socketPath where it listens; a port of its own where none is given
 */
export async function startReportApi(socketPath?: string): Promise<ReportApi> {
  const calls: ReceivedCall[] = [];
  const headers: IncomingMessage["headers"][] = [];
  const sessions = new Map<string, ReceivedSession>();
  const api = { answer: (): Answer | null => null } as Pick<ReportApi, "answer">;
  const server = createServer((request, response) => {
    void readBody(request).then((text) => {
      const call = callOf(text);
      calls.push(call);
      headers.push(request.headers);
      answerCall(response, sessions, call, api.answer(call, calls.length));
    });
  });
  if (socketPath === undefined) server.listen(0, "127.0.0.1");
  else server.listen(socketPath);
  await once(server, "listening");
  const url =
    socketPath === undefined ? `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/graphql` : "";
  return Object.assign(api, {
    url,
    calls,
    headers,
    sessions,
    session: () => {
      const [only, ...others] = sessions.values();
      if (!only || others.length > 0) throw new Error(`There are ${String(sessions.size)} sessions.`);
      return only;
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  });
}

async function readBody(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) text += String(piece);
  return text;
}

function callOf(text: string): ReceivedCall {
  const { query, variables } = JSON.parse(text) as { query: string; variables: { input: ReceivedCall } };
  if (!query.includes("reportAuditEntries(input: $input)")) throw new Error(`It asks for something else: ${query}`);
  return variables.input;
}

function answerCall(
  response: ServerResponse,
  sessions: Map<string, ReceivedSession>,
  call: ReceivedCall,
  answer: Answer | null,
): void {
  if (answer === "stall") return;
  if (answer !== null && answer !== "cut" && !("refused" in answer)) {
    const errors = "code" in answer ? [{ message: "No.", extensions: { code: answer.code } }] : [];
    response.writeHead(answer.status ?? 200, { "content-type": "application/json" });
    response.end("body" in answer ? answer.body : JSON.stringify({ data: null, errors }));
    return;
  }
  const refused = answer !== null && answer !== "cut" ? answer.refused : {};
  const report = take(sessions, call, refused);
  if (answer === "cut") response.destroy();
  else {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ data: { reportAuditEntries: report } }));
  }
}

function take(sessions: Map<string, ReceivedSession>, call: ReceivedCall, refused: Readonly<Record<number, string>>) {
  const session: ReceivedSession = sessions.get(call.sessionId) ?? {
    entries: new Map(),
    dropped: new Map(),
    repeated: 0,
    taken: 0n,
    isClosed: false,
  };
  sessions.set(call.sessionId, session);
  const answers = { sessionId: call.sessionId, accepted: 0, repeated: 0, refused: [] as unknown[] };
  call.entries.forEach((entry, index) => {
    const { sequenceNumber } = entry;
    const known = session.entries.get(sequenceNumber);
    const isOther = known !== undefined && JSON.stringify(known) !== JSON.stringify(entry);
    const code = isOther ? "CONFLICT" : refused[index];
    if (code !== undefined) answers.refused.push({ index, sequenceNumber, code, message: `It is ${code}.` });
    else if (known) answers.repeated += 1;
    else {
      answers.accepted += 1;
      session.entries.set(sequenceNumber, entry);
    }
  });
  session.repeated += answers.repeated;
  for (const { reason, sequenceNumbers } of call.dropped ?? []) {
    for (const [first, last] of sequenceNumbers) {
      for (let number = BigInt(first); number <= BigInt(last); number++) session.dropped.set(String(number), reason);
    }
  }
  const taken = BigInt(call.taken ?? 0);
  session.taken = taken > session.taken ? taken : session.taken;
  session.isClosed ||= call.close === true;
  return answers;
}

/** The numbers of a session that are neither received nor dropped. */
export function missingOf({ entries, dropped, taken }: ReceivedSession): string[] {
  return Array.from({ length: Number(taken) }, (_, number) => String(number)).filter(
    (number) => !entries.has(number) && !dropped.has(number),
  );
}
