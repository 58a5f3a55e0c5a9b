import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** The way from the relay to the API: it leads to whichever API runs now, and may stall. */
export class Network {
  readonly #sockets = new Set<Socket>();
  #target = 0;
  #isStalled = false;

  private constructor(private readonly server: Server) {
    server.on("connection", (socket) => this.#join(socket));
  }

  static async open(): Promise<Network> {
    const server = createServer({ pauseOnConnect: true });
    const network = new Network(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return network;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  leadTo(port: number): void {
    this.#target = port;
  }

  /** From now on connections are accepted, and nothing is read from any. */
  stall(): void {
    this.#isStalled = true;
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  /** What had stalled breaks; what comes goes through. */
  heal(): void {
    this.#isStalled = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(from: Socket): void {
    this.#keep(from);
    if (this.#isStalled) return;
    const to = this.#keep(connect(this.#target, "127.0.0.1"));
    from.pipe(to).pipe(from);
    from.once("close", () => to.destroy());
    to.once("close", () => from.destroy());
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    // A broken connection is what this is for; its close is what counts.
    socket.on("error", () => undefined);
    socket.once("close", () => this.#sockets.delete(socket));
    return socket;
  }
}
