import type { Socket } from "node:net";

/** What one peer may do, and all of them together. */
export const limits = {
  /** Connections at a time; further ones are closed at once. */
  connections: 256,
  /** Requests a second and connection, after as many at once as `burst`. */
  requestsPerSecond: 1_000,
  burst: 2_000,
  /** Requests of one connection that aren't answered yet. */
  requestsInFlight: 8,
  /** Octets of one request's body. */
  bodyBytes: 1024 * 1024,
  /** Octets of all bodies that are held at a time. */
  heldBytes: 32 * 1024 * 1024,
  /** Octets of answers that a peer hasn't read: beyond that it is cut off. */
  unreadBytes: 64 * 1024,
} as const;

/**
 * What a connection has done. A peer is a connection: a Unix socket has no address, and Node doesn't tell whose process it
 * is, so one process with several connections is several peers.
 */
export class Peer {
  #inFlight = 0;
  #allowance: number = limits.burst;
  #refilled: number;

  /** @param now in milliseconds, never going back */
  constructor(private readonly now: () => number = () => performance.now()) {
    this.#refilled = now();
  }

  /** Whether one more request is within the limits; where it is, `end` has to be called behind it. */
  begin(): boolean {
    const now = this.now();
    this.#allowance = Math.min(
      limits.burst,
      this.#allowance + ((now - this.#refilled) / 1_000) * limits.requestsPerSecond,
    );
    this.#refilled = now;
    if (this.#allowance < 1 || this.#inFlight >= limits.requestsInFlight) return false;
    this.#allowance -= 1;
    this.#inFlight += 1;
    return true;
  }

  end(): void {
    this.#inFlight -= 1;
  }
}

/** Every connection's peer, for as long as the connection is there. */
export class Peers {
  readonly #peers = new WeakMap<Socket, Peer>();

  of(socket: Socket): Peer {
    const peer = this.#peers.get(socket) ?? new Peer();
    this.#peers.set(socket, peer);
    return peer;
  }
}

/** Counts what all bodies hold together. */
export class HeldBytes {
  #held = 0;

  get bytes(): number {
    return this.#held;
  }

  /** False where there is no room; nothing is counted then. */
  take(bytes: number): boolean {
    if (this.#held + bytes > limits.heldBytes) return false;
    this.#held += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#held -= bytes;
  }
}
