import { orExit, prepare } from "./prepare.mjs";

await orExit(prepare);
await import("../dist/demo/main.js");
