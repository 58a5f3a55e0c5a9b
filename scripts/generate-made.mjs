import { orExit, prepare } from "./prepare.mjs";

await orExit(prepare);
await import("./write-made.mjs");
