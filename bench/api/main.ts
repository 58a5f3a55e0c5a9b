import "reflect-metadata";
import { Recorder } from "./recorder.js";
import type { ApiAnswer, ApiQuestion, ApiSettings } from "./settings.js";

// Loaded once reflect-metadata stands: the decorators need it.
const { serve } = await import("./serve.js");

const recorder = new Recorder();
const answers: Record<ApiQuestion, () => ApiAnswer> = {
  cpu: () => {
    const { user, system } = process.cpuUsage();
    return { cpu: user + system };
  },
  record: () => {
    recorder.start();
    return {};
  },
  recorded: () => ({ statements: recorder.stop() }),
};

process.on("message", (question: ApiQuestion) => process.send?.(answers[question]()));
// Nothing here is worth a drain: the bench removes every database that it made.
process.on("disconnect", () => process.exit(0));

const port = await serve(JSON.parse(process.argv[2] ?? "") as ApiSettings);
process.send?.({ port });
