import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, it } from "vitest";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** What the page's examples take as given. */
const given = `import type { ReportEntry, ReporterOptions } from "auditql/reporter";
declare const options: ReporterOptions;
declare const entry: ReportEntry;
declare const url: URL;
declare const body: string;
`;

const strictest: ts.CompilerOptions = {
  ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
  ...{ target: ts.ScriptTarget.ES2023, lib: ["lib.es2023.d.ts"], types: ["node"], skipLibCheck: true, noEmit: true },
  ...{ module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
};

/** Compiles each as a module of a program that has this package, and says what is wrong with them, by their places. */
function problemsOf(examples: readonly string[]): string[] {
  const texts = new Map(examples.map((text, at) => [join(root, `example-${String(at)}.ts`), given + text]));
  const host = ts.createCompilerHost(strictest);
  const onDisk = { fileExists: host.fileExists.bind(host), getSourceFile: host.getSourceFile.bind(host) };
  host.fileExists = (name) => texts.has(name) || onDisk.fileExists(name);
  host.getSourceFile = (name, language, ...rest) => {
    const text = texts.get(name);
    return text === undefined
      ? onDisk.getSourceFile(name, language, ...rest)
      : ts.createSourceFile(name, text, language);
  };
  const program = ts.createProgram([...texts.keys()], strictest, host);
  return [...texts.keys()].flatMap((name, at) =>
    ts.getPreEmitDiagnostics(program, program.getSourceFile(name)).map(({ code, messageText }) => {
      return `${String(at)}: TS${String(code)} ${ts.flattenDiagnosticMessageText(messageText, " ")}`;
    }),
  );
}

it("docs/reporter.md's examples compile at the strictest, for whoever installs the package", () => {
  const page = readFileSync(join(root, "docs", "reporter.md"), "utf8");
  const examples = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text = ""]) => text);
  expect(examples.length).toBe(2);
  const [first = ""] = examples;
  const wrong = first.replace('resourceType: "http_request"', "resourceType: 7");
  expect(problemsOf([...examples, wrong])).toEqual(["2: TS2322 Type 'number' is not assignable to type 'string'."]);
});
