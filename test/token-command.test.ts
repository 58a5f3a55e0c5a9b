import { resolve } from "node:path";
import { expect, it } from "vitest";
import { shellPath } from "../src/shell-path.js";
import { tokenCommand } from "../src/token-command.js";

it.each([
  [resolve(".data"), ".data"],
  [resolve("a/b-c"), "a/b-c"],
  [resolve("-r"), resolve("-r")],
  [resolve("."), resolve(".")],
  [resolve(".."), resolve("..")],
  ["/srv/auditql", "/srv/auditql"],
  ["/srv/$(id) it's", `'/srv/$(id) it'\\''s'`],
])("the folder %s is pasted as %s", (path, shown) => {
  expect(shellPath(path)).toBe(shown);
});

it("a token's command names the folder of the key where it isn't the usual one", () => {
  expect(tokenCommand(resolve(".data"), "--subject u-1")).toBe("npm run --silent token -- --subject u-1");
  expect(tokenCommand(resolve("my data"), "--subject u-1")).toBe(
    "DATA_DIR='my data' npm run --silent token -- --subject u-1",
  );
});
