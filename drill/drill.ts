import type { Cleanup } from "./cleanup.js";

export interface DrillOptions {
  readonly seed: number;
  /** How often what is broken is broken. */
  readonly kills: number | null;
  /** How many entries are reported. */
  readonly entries: number | null;
  /** A short run, which shows that the drill works rather than that the product does. */
  readonly quick: boolean;
}

/** What a drill works with. */
export interface DrillGround extends DrillOptions {
  readonly cleanup: Cleanup;
  /** Says on stderr what is being done. */
  readonly progress: (message: string) => void;
}

export interface DrillReport {
  /** What was tried and what came of it, for people. */
  readonly text: string;
  /** What was lost, a sentence each; none where all holds. */
  readonly losses: readonly string[];
}

/** Something that is done to the product to see whether its log holds. */
export interface Drill {
  readonly name: string;
  readonly about: string;
  run(ground: DrillGround): Promise<DrillReport>;
}
