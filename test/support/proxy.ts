import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** Stands between a server under test and its database, so that a test can cut them apart. */
export interface Proxy {
  /** The same URL, through this proxy. */
  through(url: string): string;
  /** Breaks every connection and refuses new ones. */
  cut(): Promise<void>;
  /** Lets connections through again. */
  mend(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a proxy to the host and port that the URL names. */
export async function startProxy(url: string): Promise<Proxy> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const [socket, other] of [[near, far] as const, [far, near] as const]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    near.pipe(far).pipe(near);
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
    through: (original) => {
      const proxied = new URL(original);
      proxied.host = `127.0.0.1:${String(ownPort)}`;
      return proxied.href;
    },
    cut,
    mend: async () => {
      await listen(server, ownPort);
    },
    stop: cut,
  };
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The proxy listens nowhere.");
  return address.port;
}
