import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

/** Who may import whom, by folder: ARCHITECTURE.md's arrows, as patterns of what is refused. */
const imports = (files, ...refused) => ({
  files,
  rules: {
    "no-restricted-imports": ["error", { patterns: refused.map(([regex, message]) => ({ regex, message })) }],
  },
});
const environment = {
  selector: "MemberExpression[object.name='process'][property.name='env']",
  message: "The environment is read once, by src/config.ts.",
};
const connections = {
  selector: "NewExpression[callee.object.name='pg'][callee.property.name=/^(Pool|Client)$/]",
  message: "Connections are made by src/database/connection.ts: one that breaks while nobody listens ends the process.",
};
const typeGraphql = ["^type-graphql$", "type-graphql has one door: src/audit/type-graphql.ts."];

export default defineConfig(
  { ignores: ["dist/", "node_modules/", ".data/", "web/"] },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ["vitest.config.ts"] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      // It overflows the stack on graphql's types.
      "@typescript-eslint/no-unsafe-class-instance-assignment": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      // A resolver class is all decorators.
      "@typescript-eslint/no-extraneous-class": "off",
      "no-restricted-imports": ["error", { patterns: [{ regex: typeGraphql[0], message: typeGraphql[1] }] }],
      "no-restricted-syntax": ["error", environment, connections],
    },
  },
  // Every folder below src that isn't one of these is a feature.
  {
    ...imports(
      ["src/*/**"],
      typeGraphql,
      [
        "^\\.\\./(?!audit/|graphql\\.js|feature\\.js|instant\\.js|page\\.js|tenant\\.js|validation\\.js)",
        "Features never import each other.",
      ],
      ["^\\.\\./audit/(?!index\\.js$)", "A feature imports audit/index alone."],
    ),
    ignores: [
      "audit",
      "auth",
      "cli",
      "config",
      "database",
      "disk",
      "embedded-postgres",
      "http",
      "log",
      "provision",
      "relay",
      "reporter",
    ].map((folder) => `src/${folder}/**`),
  },
  imports(["src/audit/*.ts"], typeGraphql, ["^\\.\\./(?!disk/)", "The framework imports nothing of the application."]),
  imports(
    ["src/audit/read/**"],
    typeGraphql,
    ["^\\.\\./\\.\\./", "The framework imports nothing of the application."],
    ["^\\.\\./(seal|report)/", "read, seal and report never import each other."],
  ),
  imports(
    ["src/audit/report/**"],
    typeGraphql,
    ["^\\.\\./\\.\\./", "The framework imports nothing of the application."],
    ["^\\.\\./(seal|read)/", "read, seal and report never import each other."],
  ),
  imports(["src/audit/spool/**"], typeGraphql, [
    "^\\.\\./\\.\\./(?!disk/)",
    "The framework imports nothing of the application.",
  ]),
  imports(["src/disk/**"], ["^(?!node:|\\./)", "Files on a disk need Node alone."]),
  imports(
    ["src/reporter/**"],
    ["^(?!node:|\\./|\\.\\./(disk/|within\\.js))", "The reporter needs Node alone, src/disk and src/within.ts."],
  ),
  imports(["src/within.ts"], [".", "A deadline needs nothing."]),
  imports(
    ["src/relay/**"],
    typeGraphql,
    [
      "^\\.\\./(?!disk/|reporter/|standard-error\\.js|unix-socket\\.js|within\\.js)",
      "The relay runs where the API doesn't, and needs nothing of it.",
    ],
    ["^(typeorm|pg|graphql|express|@apollo/.*)$", "The relay runs where the API doesn't, and needs nothing of it."],
  ),
  imports(["src/audit/entry.ts"], [".", "The terms import nothing."]),
  imports(["src/config.ts"], ["^\\.{1,2}/(?!config/)", "The configuration imports nothing of the project."]),
  {
    files: ["test/**"],
    rules: {
      // What pg and JSON give is any until an assertion has looked at it.
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-misused-spread": "off",
    },
  },
  { files: ["src/database/connection.ts"], rules: { "no-restricted-syntax": ["error", environment] } },
  { files: ["src/audit/type-graphql.ts"], rules: { "no-restricted-imports": "off" } },
  {
    files: ["src/main.ts", "src/cli/**", "test/**", "bench/**", "demo/**", "drill/**", "scratch/**"],
    rules: { "no-restricted-syntax": ["error", connections] },
  },
);
