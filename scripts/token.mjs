import { orExit, prepare } from "./prepare.mjs";

await orExit(prepare);
await import("../dist/src/cli/token.js");
