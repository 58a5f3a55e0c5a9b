import { areFields, type ReportEntry } from "./report-entry.js";

/** As `fetch` takes it, with what the request's entry says beside method and URL. */
export interface ReportedRequest extends RequestInit {
  readonly audit?: Partial<Omit<ReportEntry, "sequenceNumber">>;
}

/** Reports a request, and gives the headers that it has to carry. */
export type ReportRequest = (url: URL, entry: ReportEntry) => Readonly<Record<string, string | undefined>>;

const MAX_REDIRECTS = 20;
const redirecting = new Set([301, 302, 303, 307, 308]);
const ours = ["x-audit-session-id", "x-audit-sequence-number"];
/** Of a body that isn't sent again. */
const describing = ["content-type", "content-length", "content-encoding", "content-language", "content-location"];
/** Meant for one origin alone. */
const confidential = ["authorization", "proxy-authorization", "cookie", "host"];

/**
 * Makes a request, and those that it is redirected to, each reported before it is sent and with its own headers: what was given
 * to one target never reaches another. The entry says that the request was let through, and nothing of what came of it.
 *
 * @throws what `fetch` throws
 */
export async function correlatedFetch(
  input: string | URL | Request,
  init: ReportedRequest | undefined,
  report: ReportRequest,
): Promise<Response> {
  const { audit, ...rest } = init ?? {};
  let request = new Request(input, rest);
  const mode = request.redirect;
  for (let redirects = 0; ; redirects++) {
    const response = await fetch(prepared(request, audit, report));
    const location = response.headers.get("location");
    if (!redirecting.has(response.status) || location === null || mode === "manual") return response;
    await response.body?.cancel();
    if (mode === "error") throw new TypeError("The request was redirected.");
    if (redirects === MAX_REDIRECTS)
      throw new TypeError(`The request was redirected more than ${MAX_REDIRECTS} times.`);
    request = redirected(request, new URL(location, request.url), response.status, rest);
  }
}

function prepared(request: Request, audit: ReportedRequest["audit"], report: ReportRequest): Request {
  const url = new URL(request.url);
  const stated = audit?.fields ?? {};
  const given = report(url, {
    resourceType: "http_request",
    action: "REQUEST",
    outcome: "SUCCESS",
    ...audit,
    // What are no fields is the reporter's to refuse.
    fields: areFields(stated) ? { ...stated, method: request.method, url: url.href } : stated,
  });
  const headers = new Headers(request.headers);
  for (const name of ours) headers.delete(name);
  for (const [name, value] of Object.entries(given)) if (value !== undefined) headers.set(name, value);
  return new Request(request, { headers, redirect: "manual" });
}

/** The request that follows, as the Fetch standard has it. */
function redirected(request: Request, url: URL, status: number, { body, dispatcher }: RequestInit): Request {
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new TypeError("The request was redirected elsewhere.");
  const headers = new Headers(request.headers);
  if (url.origin !== new URL(request.url).origin) for (const name of confidential) headers.delete(name);
  const isPost = request.method === "POST" && (status === 301 || status === 302);
  const isOther = status === 303 && request.method !== "GET" && request.method !== "HEAD";
  const isBodiless = isPost || isOther || request.body === null;
  if (isPost || isOther) for (const name of describing) headers.delete(name);
  // Its parts are parted otherwise each time.
  if (body instanceof FormData) headers.delete("content-type");
  if (!isBodiless && !isRepeatable(body)) throw new TypeError("The request was redirected, and its body is a stream.");
  return new Request(url, {
    method: isPost || isOther ? "GET" : request.method,
    headers,
    signal: request.signal,
    integrity: request.integrity,
    ...(dispatcher && { dispatcher }),
    ...(!isBodiless && { body: body ?? null }),
  });
}

const isRepeatable = (body: RequestInit["body"]): boolean =>
  typeof body === "string" ||
  body instanceof URLSearchParams ||
  body instanceof FormData ||
  body instanceof Blob ||
  body instanceof ArrayBuffer ||
  ArrayBuffer.isView(body);
