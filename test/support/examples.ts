import { join } from "node:path";
import ts from "typescript";

/** An export of a module, with what its docstring says. */
export interface DocumentedExport {
  readonly name: string;
  /** Whether it is there at run time; types and interfaces aren't. */
  readonly isValue: boolean;
  readonly documentation: string;
  readonly examples: readonly string[];
}

/** An example as JavaScript that hands each expression with a `// value` behind it to `check(actual, expected)`. */
export interface RunnableExample {
  readonly code: string;
  readonly checks: number;
}

const root = process.cwd();
const { config } = ts.readConfigFile(join(root, "tsconfig.json"), (path) => ts.sys.readFile(path)) as {
  config: unknown;
};
const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
const compilerOptions: ts.CompilerOptions = { ...options, noEmit: true, incremental: false, noUnusedLocals: false };
delete compilerOptions.tsBuildInfoFile;

/** What a module exports, by the compiler. */
export function documentedExports(path: string): DocumentedExport[] {
  const program = ts.createProgram([join(root, path)], compilerOptions);
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(join(root, path));
  const module = source && checker.getSymbolAtLocation(source);
  if (!module) throw new Error(`${path} is no module.`);
  return checker.getExportsOfModule(module).map((exported) => {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    const tags = symbol.getJsDocTags(checker).filter(({ name }) => name === "example");
    const isTypeAlone = exported.declarations?.some((node) => ts.isTypeOnlyExportDeclaration(node)) ?? false;
    return {
      name: exported.name,
      isValue: !isTypeAlone && (symbol.flags & ts.SymbolFlags.Value) !== 0,
      documentation: ts.displayPartsToString(symbol.getDocumentationComment(checker)),
      examples: tags.map(({ text }) => ts.displayPartsToString(text)),
    };
  });
}

/**
 * What the compiler has against the examples, each in a function of its own below the `preamble` of imports and
 * declarations; a sentence each.
 */
export function compileExamples(preamble: string, examples: ReadonlyMap<string, string>): string[] {
  const path = join(root, "test", "audit", "examples.virtual.ts");
  const functions = [...examples].map(
    ([name, code], index) => `// ${name}\nexport async function example${index}() {\n${code}\n}`,
  );
  const text = [preamble, ...functions].join("\n");
  const disk = ts.createCompilerHost(compilerOptions);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (name) => name === path || disk.fileExists(name),
    getSourceFile: (name, version, ...rest) =>
      name === path ? ts.createSourceFile(name, text, version, true) : disk.getSourceFile(name, version, ...rest),
  };
  const program = ts.createProgram([path], compilerOptions, host);
  const source = program.getSourceFile(path);
  const diagnostics = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  return diagnostics.map(({ messageText, start = 0 }) => {
    const line = text.slice(text.lastIndexOf("\n", start - 1) + 1, text.indexOf("\n", start));
    return `${line.trim()}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`;
  });
}

/** Turns an example into what can be run. A `// value` counts behind a statement that is an expression, on its last line. */
export function runnableExample(example: string): RunnableExample {
  const source = ts.createSourceFile("example.ts", example, ts.ScriptTarget.Latest, true);
  const parts: string[] = [];
  let checks = 0;
  for (const statement of source.statements) {
    const [comment] = ts.getTrailingCommentRanges(example, statement.end) ?? [];
    const expected = comment && example.slice(comment.pos + 2, comment.end).trim();
    if (ts.isExpressionStatement(statement) && expected) {
      parts.push(`check(${statement.expression.getText()}, ${expected});`);
      checks += 1;
    } else parts.push(statement.getText());
  }
  const { outputText } = ts.transpileModule(parts.join("\n"), {
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, experimentalDecorators: true },
  });
  return { code: outputText, checks };
}
