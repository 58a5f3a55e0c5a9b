import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import type { Express, RequestHandler } from "express";

/** The page's own files, by the path that each is served at. */
const files: Readonly<Record<string, readonly [packageName: string, file: string]>> = {
  "/graphiql/react.js": ["react", "umd/react.production.min.js"],
  "/graphiql/react-dom.js": ["react-dom", "umd/react-dom.production.min.js"],
  "/graphiql/graphiql.js": ["graphiql", "graphiql.min.js"],
  "/graphiql/graphiql.css": ["graphiql", "graphiql.min.css"],
};

/** What the page may load and call: this very server. Its fonts and pictures are part of its style sheet. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "font-src data:",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width" />
    <title>AuditQL: GraphiQL</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="/graphiql/graphiql.css" />
    <style>html, body, #graphiql { height: 100%; margin: 0; }</style>
  </head>
  <body>
    <div id="graphiql"></div>
    <script src="/graphiql/react.js"></script>
    <script src="/graphiql/react-dom.js"></script>
    <script src="/graphiql/graphiql.js"></script>
    <script src="/graphiql/start.js"></script>
  </body>
</html>
`;

/** The first query needs an auditor's token, so it says how that gets here. */
const firstQuery = `# The log, as an auditor sees it. Put a token into Headers, below: { "authorization": "Bearer …" }
# One is printed by: npm run --silent token -- --tenant acme --subject u-2 --role auditor
{
  auditLogs(first: 10) {
    nodes {
      occurredAt
      description
      changes {
        field
        op
        old
        new
        secret
      }
    }
  }
}
`;

const start = `ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: "/graphql" }),
    defaultHeaders: JSON.stringify({ authorization: "Bearer " }, null, 2),
    defaultQuery: ${JSON.stringify(firstQuery)},
    defaultEditorToolsVisibility: "headers",
  }),
);
`;

/** Whether GraphiQL was installed with what is for development. */
export function graphiqlIsInstalled(): boolean {
  return Object.values(files).every(([packageName, file]) => {
    const path = pathOf(packageName, file);
    return path !== null && existsSync(path);
  });
}

/** Serves GraphiQL at `/graphiql` from the installed packages, where they are; it asks no other host for anything. */
export function serveGraphiql(app: Express): void {
  if (!graphiqlIsInstalled()) return;
  app.get("/graphiql", (_request, response) => {
    response.setHeader("content-security-policy", policy);
    response.type("html").send(page);
  });
  app.get("/graphiql/start.js", (_request, response) => {
    response.type("js").send(start);
  });
  for (const [path, [packageName, file]] of Object.entries(files))
    app.get(path, sendFile(pathOf(packageName, file) ?? ""));
}

function sendFile(path: string): RequestHandler {
  return (_request, response) => {
    response.sendFile(basename(path), { root: dirname(path), cacheControl: false, lastModified: false });
  };
}

/** Null where the package isn't installed, as in production. */
function pathOf(packageName: string, file: string): string | null {
  try {
    const manifest = createRequire(import.meta.url).resolve(`${packageName}/package.json`);
    return join(dirname(manifest), file);
  } catch {
    return null;
  }
}
