import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** Stands between a server under test and its database, so that a test can cut them apart. */
export interface Proxy {
  /** The same URL, through this proxy. */
  through(url: string): string;
  /**
   * Takes hold of the next COMMIT, with the packet that it came in. What is committed with entries has it in capitals, our
   * other transactions in small letters: those pass.
   */
  nextCommit(): Promise<HeldCommit>;
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
  /** Hands it on as if nothing had been. */
  pass(): void;
  /** Breaks this connection, on both sides. */
  breakOff(): void;
}

/** Starts a proxy to the host and port that the URL names. */
export async function startProxy(url: string): Promise<Proxy> {
  let target = new URL(url);
  const sockets = new Set<Socket>();
  let awaited: ((held: HeldCommit) => void) | null = null;
  let isStalled = false;
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    near.on("data", (data: Buffer) => {
      const taker = data.includes("COMMIT\0") ? awaited : null;
      if (taker) awaited = null;
      if (taker) taker(hold(near, far, data));
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
    nextCommit: () => new Promise((resolve) => (awaited = resolve)),
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
  return {
    carryOut: async () => {
      far.unpipe(near);
      const answered = new Promise<void>((resolve) => {
        far.on("data", (answer: Buffer) => {
          if (answer.includes("COMMIT\0")) resolve();
        });
      });
      far.resume();
      far.write(data);
      await answered;
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

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The proxy listens nowhere.");
  return address.port;
}
