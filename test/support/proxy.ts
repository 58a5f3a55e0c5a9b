import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** Stands between a server under test and its database, so that a test can cut them apart. */
export interface Proxy {
  /** The same URL, through this proxy. */
  through(url: string): string;
  /**
   * Takes hold of the next COMMIT, with the packet that it came in. What operations commit has it in capitals, our other
   * transactions in small letters: of these two the one that isn't asked for passes.
   */
  nextCommit(spelling?: "COMMIT" | "commit"): Promise<HeldCommit>;
  /** Breaks every connection and refuses new ones. */
  cut(): Promise<void>;
  /** Where new connections lead from now on: the host and port that the URL names. */
  lead(url: string): void;
  /** Lets nothing through any more, and tells nobody: connections stay, and new ones get no answer. */
  stall(): void;
  /** Lets connections through again. */
  mend(): Promise<void>;
  stop(): Promise<void>;
}

/** A COMMIT that hasn't reached the server yet. */
export interface HeldCommit {
  /** Hands it on and waits for the answer, of which nothing is handed back. */
  carryOut(): Promise<void>;
  /** Has it carried out, and answers with a panic instead: PostgreSQL's, where it wrote the commit and can't sync it. */
  panic(): Promise<void>;
  /** Hands it on as if nothing had been. */
  pass(): void;
  /** Breaks this connection, on both sides. */
  breakOff(): void;
}

/** Starts a proxy to the host and port that the URL names. */
export async function startProxy(url: string): Promise<Proxy> {
  let target = new URL(url);
  const sockets = new Set<Socket>();
  let awaited: { readonly spelling: string; readonly take: (held: HeldCommit) => void } | null = null;
  let isStalled = false;
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    near.on("data", (data: Buffer) => {
      const taker = awaited && data.includes(`${awaited.spelling}\0`) ? awaited : null;
      if (taker) awaited = null;
      if (taker) taker.take(hold(near, far, data));
      else far.write(data);
    });
    far.pipe(near);
    for (const [socket, other] of [[near, far] as const, [far, near] as const]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    if (isStalled) for (const socket of [near, far]) socket.unpipe().pause();
  });
  const ownPort = await listen(server, 0);
  const cut = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.resetAndDestroy();
    await closed;
  };
  return {
    nextCommit: (spelling = "COMMIT") => new Promise((take) => (awaited = { spelling, take })),
    through: (original) => {
      const proxied = new URL(original);
      proxied.host = `127.0.0.1:${String(ownPort)}`;
      return proxied.href;
    },
    cut,
    lead: (other) => {
      target = new URL(other);
    },
    stall: () => {
      isStalled = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    mend: async () => {
      await listen(server, ownPort);
    },
    stop: cut,
  };
}

function hold(near: Socket, far: Socket, data: Buffer): HeldCommit {
  /** Gives what the server answered before it told that COMMIT was done. */
  const carryOut = async (): Promise<Buffer> => {
    far.unpipe(near);
    let answer = Buffer.alloc(0);
    const answered = new Promise<Buffer>((resolve) => {
      far.on("data", (part: Buffer) => {
        answer = Buffer.concat([answer, part]);
        const done = answer.indexOf("COMMIT\0");
        // Before the tag stand the message's type and its length.
        if (done >= 0) resolve(answer.subarray(0, done - 5));
      });
    });
    far.resume();
    far.write(data);
    return answered;
  };
  return {
    carryOut: async () => {
      await carryOut();
    },
    panic: async () => {
      near.end(Buffer.concat([await carryOut(), errorMessage("PANIC", "58030", "could not fsync the log")]));
    },
    pass: () => {
      far.write(data);
    },
    breakOff: () => {
      near.resetAndDestroy();
      far.resetAndDestroy();
    },
  };
}

/** PostgreSQL's ErrorResponse. */
function errorMessage(severity: string, code: string, message: string): Buffer {
  const fields = Buffer.from(`S${severity}\0V${severity}\0C${code}\0M${message}\0\0`);
  const head = Buffer.from("E\0\0\0\0");
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The proxy listens nowhere.");
  return address.port;
}
