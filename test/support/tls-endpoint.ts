import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type AddressInfo, type Socket } from "node:net";
import { pipeline } from "node:stream";
import { createServer, type SecureContextOptions } from "node:tls";
import { fileURLToPath } from "node:url";

/** What a server shows: its own, one of another host, or one of its own that has expired. See `certificates/README.md`. */
export type CertificateName = "server" | "other-host" | "expired";

const fileOf = (name: string): string => fileURLToPath(new URL(`certificates/${name}.pem`, import.meta.url));

/** What makes a process trust the authority of these certificates: Node reads it as the process starts. */
export const trusting: NodeJS.ProcessEnv = { NODE_EXTRA_CA_CERTS: fileOf("authority") };

/** What makes Node take any certificate. */
export const trustingAnybody: NodeJS.ProcessEnv = { NODE_TLS_REJECT_UNAUTHORIZED: "0" };

/** TLS on 127.0.0.1 before a server that speaks plain HTTP. */
export interface TlsEndpoint {
  /** `https:`, with the path of the server behind it. */
  readonly url: string;
  /** How often somebody has connected, by TCP. */
  connections(): number;
  /** How many of those have agreed on TLS. */
  handshakes(): number;
  /** How many octets they have sent, deciphered. */
  octets(): number;
  /** Shows another certificate to whoever connects from now on. */
  show(certificate: CertificateName): void;
  close(): Promise<void>;
}

const contextOf = (certificate: CertificateName): SecureContextOptions => ({
  cert: readFileSync(fileOf(certificate)),
  key: readFileSync(fileOf("test-key")),
});

/** @param behind where the server is, such as `http://127.0.0.1:41234/graphql` */
export async function startTlsEndpoint(certificate: CertificateName, behind: string): Promise<TlsEndpoint> {
  const { hostname, port, pathname } = new URL(behind);
  const count = { connections: 0, handshakes: 0, octets: 0 };
  const sockets = new Set<Socket>();
  const server = createServer(contextOf(certificate));
  server.on("connection", (socket: Socket) => {
    count.connections += 1;
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("secureConnection", (socket) => {
    count.handshakes += 1;
    socket.on("data", (octets: Buffer) => (count.octets += octets.length));
    // Either side may end amid a call: then so does the other.
    const plain = connect({ host: hostname, port: Number(port) });
    pipeline(socket, plain, socket, () => {
      plain.destroy();
      socket.destroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `https://127.0.0.1:${String((server.address() as AddressInfo).port)}${pathname}`,
    connections: () => count.connections,
    handshakes: () => count.handshakes,
    octets: () => count.octets,
    show: (other) => server.setSecureContext(contextOf(other)),
    close: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
