// Requests to the API below this page. The token is in memory; in the session's storage on request.

const PATIENCE = 15; // seconds
const STORED = `asgi-multitier ${location.pathname}`;

let token = stored((storage) => storage.getItem(STORED)); // "" to send none, null if nothing is known
let refused;

/** A request without an answer of use; its message is a sentence. `left`: it is of no interest any more. */
export class Failure extends Error {
  constructor(sentence, told) {
    super(sentence);
    Object.assign(this, told);
  }
}

export const signedIn = () => token !== null;

/** Send this token from now on; null for none that is known. */
export function signIn(given, keep) {
  token = given;
  stored((storage) => (keep ? storage.setItem(STORED, given) : storage.removeItem(STORED)));
}

/** What to call with a sentence when a token is not accepted. */
export function whenRefused(act) {
  refused = act;
}

/** A browser may be set to keep nothing. */
function stored(act) {
  try {
    return act(sessionStorage);
  } catch {
    return null;
  }
}

/** What `read` makes of the answer; a Failure is thrown for a problem. */
async function send(path, { query = {}, body, headers, signal }, read) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  const sent = { ...headers, ...(token && { authorization: `Bearer ${token}` }), ...(body && { "content-type": "application/json" }) };
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), 1000 * PATIENCE);
  try {
    const response = await fetch(url, {
      method: body ? "POST" : "GET", body: body && JSON.stringify(body), headers: sent,
      cache: "no-store", redirect: "manual", signal: signal ? AbortSignal.any([signal, late.signal]) : late.signal,
    });
    // A 503 that is no problem is an outcome: what was dropped waits for the log.
    const queued = response.status === 503 && response.headers.get("content-type") === "application/json";
    if (response.ok || queued) return await read(response);
    throw await failure(response);
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (signal?.aborted) throw new Failure("", { left: true });
    if (late.signal.aborted) throw new Failure(`There was no answer within ${PATIENCE} s.`);
    if (error instanceof SyntaxError) throw new Failure("The answer is cut off or no JSON.");
    throw new Failure("There was no answer: the server is not reached, or the connection broke.");
  } finally {
    clearTimeout(timer);
  }
}

/** The JSON that answers a GET, or a POST where there is a body. */
export const ask = (path, options = {}) => send(path, options, (response) => response.json());

/** The answer, of which the content is still to come. */
export const open = (path, options) => send(path, options, (response) => response);

async function failure(response) {
  const { status } = response;
  const { detail, allowed } = await response.json().catch(() => ({}));
  const wait = Number(response.headers.get("retry-after")) || 0;
  if (status === 401) {
    const sentence = `${token ? "This token is not accepted" : "A token is needed"} here.`;
    refused(sentence);
    return new Failure(sentence, { left: true });
  }
  const said = {
    0: "Something in front leads elsewhere, perhaps to sign in: reload the page",
    403: "This is not allowed with this token",
    404: "There is nothing here",
    409: "There is nothing to show",
    422: "This is not accepted",
    429: "There were too many failed attempts from your address",
    503: "The cache cannot answer this now",
  }[status] ?? `The answer was ${status}`;
  const more = (detail ? `: ${detail}` : "") + (allowed ? ` (allowed: ${allowed})` : "");
  return new Failure(`${said}${more}.${wait ? ` Try again in ${wait} s.` : ""}`, { status, wait });
}

/** Why something cannot be done here, "" if it can: what `GET api` says of rights and routes. */
export function reasonAgainst(index, path) {
  if (index.rights !== "operator") return "This needs the operator's token; yours is a viewer's.";
  if (index.read_only) return "This admin application only reads (read_only=True).";
  return index.routes.includes(path) ? "" : "This application does not offer it.";
}
