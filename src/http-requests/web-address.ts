import { ignore, secret, track, type ReportedField } from "../audit/index.js";

const LONGEST = 64 * 1024;
const schemes: ReadonlySet<string> = new Set(["http:", "https:", "ws:", "wss:"]);

/**
 * A URL in parts: what it leads to is tracked; whoever sends it may have put a secret into the query or before the host.
 */
export const webAddress: ReportedField = {
  kind: "read",
  policies: (name) => ({
    [name]: track,
    query: secret,
    userinfo: secret,
    fragment: ignore("It is the client's own: no request carries it."),
  }),
  read: (value, name) => {
    const url = parsed(value);
    return {
      [name]: `${url.protocol}//${url.host}${url.pathname}`,
      query: url.search === "" ? null : url.search,
      userinfo: url.username === "" && url.password === "" ? null : `${url.username}:${url.password}`,
    };
  },
};

function parsed(value: unknown): URL {
  if (typeof value !== "string") throw new TypeError("isn't a text");
  if (value.length > LONGEST) throw new TypeError(`is longer than ${String(LONGEST)} characters`);
  const url = URL.canParse(value) ? new URL(value) : null;
  if (!url || !schemes.has(url.protocol)) throw new TypeError("isn't a whole URL of http, https, ws or wss");
  return url;
}
