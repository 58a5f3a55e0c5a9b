/** Which requests carry the headers of correlation. */
export interface TargetRule {
  /** `api.example.com`, `api.example.com:8443`, `*.example.com` for all below it, or `*` for every host. */
  readonly host: string;
  /**
   * Where the path begins, by whole segments; `*` stands for any text, such as between `/v1/` and `/chat`. Every
   * path where it isn't given.
   */
  readonly path?: string;
}

/** Whether a request to this URL matches one of the rules. */
export type Targets = (url: URL) => boolean;

const MAX_RULE_CHARACTERS = 1_024;
const hostForm = /^(\*|(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?(:\d{1,5})?|\[[0-9a-f:.]+\](:\d{1,5})?)$/;

/** Problems of the rules, as sentences; none where they can be used. */
export function problemsOf(rules: readonly TargetRule[]): string[] {
  if (!Array.isArray(rules)) return ["correlation.targets isn't a list of rules."];
  if (rules.length === 0) return ["correlation.targets is empty: name the hosts whose requests carry the headers."];
  return rules.flatMap((rule: Partial<TargetRule> | null, at) =>
    problemsOfRule(rule ?? {}, `correlation.targets[${at}]`),
  );
}

/** @param rules without problems */
export function targetsOf(rules: readonly TargetRule[]): Targets {
  const matchers = rules.map(({ host, path = "/" }) => {
    const matchesHost = hostMatcher(host.toLowerCase());
    // As URLs write it.
    const { pathname } = new URL(`http://host${path}`);
    return (url: URL): boolean => matchesHost(url) && matchesPath(pathname, url.pathname);
  });
  return (url) => (url.protocol === "http:" || url.protocol === "https:") && matchers.some((matches) => matches(url));
}

function problemsOfRule({ host, path }: Partial<TargetRule>, name: string): string[] {
  const problems: string[] = [];
  if (typeof host !== "string" || host === "") problems.push(`${name} has no host.`);
  else if (host.length > MAX_RULE_CHARACTERS || !hostForm.test(host.toLowerCase()) || !URL.canParse(originOf(host))) {
    problems.push(`${name}.host is neither a host, nor *.host, nor *.`);
  }
  if (path !== undefined && (typeof path !== "string" || !path.startsWith("/") || path.length > MAX_RULE_CHARACTERS)) {
    problems.push(`${name}.path doesn't begin with a slash.`);
  } else if (path !== undefined && /[?#]/.test(path)) {
    problems.push(`${name}.path holds more than a path: leave out what begins with ? or #.`);
  }
  return problems;
}

function hostMatcher(host: string): Targets {
  if (host === "*") return () => true;
  const [, name = "", port] = /^(.*?)(?::(\d+))?$/.exec(host) ?? [];
  const hasPort = ({ protocol, port: given }: URL): boolean =>
    port === undefined || Number(given || (protocol === "https:" ? 443 : 80)) === Number(port);
  if (name.startsWith("*.")) return (url) => hasPort(url) && hostOf(url).endsWith(name.slice(1));
  const { hostname } = new URL(originOf(name));
  return (url) => hasPort(url) && hostOf(url) === hostname;
}

const originOf = (host: string): string => `http://${host.replace("*", "any")}`;

/** A name may end with the root's dot. */
const hostOf = ({ hostname }: URL): string => hostname.replace(/\.$/, "");

/** Piece by piece between the asterisks, each at its first place; the last one also further on, where a segment ends. */
function matchesPath(rule: string, path: string): boolean {
  const [first = "", ...pieces] = rule.split("*");
  if (!path.startsWith(first)) return false;
  let end = first.length;
  if (pieces.length === 0) return endsSegment(path, end);
  const last = pieces.pop() ?? "";
  for (const piece of pieces) {
    const found = path.indexOf(piece, end);
    if (found < 0) return false;
    end = found + piece.length;
  }
  if (last === "") return true;
  for (let found = path.indexOf(last, end); found >= 0; found = path.indexOf(last, found + 1)) {
    if (endsSegment(path, found + last.length)) return true;
  }
  return false;
}

const endsSegment = (path: string, end: number): boolean =>
  end === path.length || path[end] === "/" || path[end - 1] === "/";
