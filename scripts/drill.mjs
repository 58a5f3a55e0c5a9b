import { orExit, prepare } from "./prepare.mjs";

await orExit(prepare);
// In this very process, so that a signal to npm or node reaches it.
await import("../dist/drill/main.js");
