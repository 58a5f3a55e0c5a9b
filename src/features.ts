import type { Feature } from "./feature.js";
import { groups } from "./groups/index.js";

/** A new audited resource is one folder and one line here. */
export const features: readonly Feature[] = [groups];
