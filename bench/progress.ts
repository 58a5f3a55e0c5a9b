import { progressOf } from "../scratch/progress.js";

export const progress = progressOf("bench");
