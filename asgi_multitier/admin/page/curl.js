// A request from what people paste: a URL, or a command line of curl.

const METHOD = /^[A-Z]+\s+(?=\S)/;
const LETTERS = { X: "request", H: "header", b: "cookie", A: "user-agent", e: "referer", u: "user", d: "data", F: "form", r: "range", T: "upload-file",
  o: "output", m: "max-time", x: "proxy", E: "cert", w: "write-out", c: "cookie-jar", D: "dump-header", K: "config", G: "get", I: "head" };
const BODY = ["data", "data-raw", "data-binary", "data-ascii", "data-urlencode", "json", "form", "form-string", "upload-file"];
const VALUED = [...Object.values(LETTERS).slice(0, -2), ...BODY, "url", "oauth2-bearer", "connect-timeout", "cacert", "key", "resolve", "connect-to", "retry"];
const FIELDS = {
  "user-agent": (value) => ["user-agent", value], referer: (value) => ["referer", value], range: (value) => ["range", `bytes=${value}`],
  user: (value) => ["authorization", `Basic ${btoa(value)}`], "oauth2-bearer": (value) => ["authorization", `Bearer ${value}`],
  json: () => ["content-type", "application/json"], compressed: () => ["accept-encoding", "deflate, gzip, br, zstd"],
  cookie: (value) => value.includes("=") && ["cookie", value],
  header: (line) => {
    const [, name, mark, value] = /^([^:;\s]+)([:;])\s*(.*?)\s*$/s.exec(line) ?? [];
    return name && (value || mark === ";") && [name.toLowerCase(), value];
  },
};

/** `{ method, url, headers: [[name, value]], body, ignored }`; throws an Error whose message is a sentence. */
export function parse(pasted) {
  const line = pasted.trim();
  if (!line) throw new Error("Paste a URL or a command of curl.");
  if (/^(\$\s*)?curl(\.exe)?\s/.test(line)) return command(words(line.replace(/^\$\s*/, "")).slice(1));
  const url = line.replace(METHOD, "");
  if (/\s/.test(url)) throw new Error("This is neither a URL nor a command of curl: a URL has no spaces.");
  return { method: METHOD.exec(line)?.[0].trim() ?? "GET", url: checked(url, "https://"), headers: [], body: false, ignored: [] };
}

function checked(url, scheme) {
  const whole = /^\/(?!\/)|^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? url : scheme + url;
  if (whole[0] !== "/" && !(/^https?:/i.test(whole) && URL.canParse(whole))) throw new Error(`${url} is no URL of http or https.`);
  return whole.replace(/#.*$/s, "");
}

function command(args) {
  const [urls, headers, data, ignored, options] = [[], [], [], [], {}];
  while (args.length) {
    const word = args.shift();
    const letter = /^-[^-]/.test(word) && word[1];
    const name = letter ? LETTERS[letter] ?? letter : word.replace(/^--/, "");
    const valued = VALUED.includes(name);
    const attached = letter && word.length > 2 && word.slice(2); // -XPOST, or -sS
    if (word[0] !== "-") {
      urls.push(word);
      continue;
    }
    if (attached && !valued) args.unshift(`-${attached}`);
    if (valued && !attached && !args.length) throw new Error(`After ${word} there is no value.`);
    const value = valued && (attached || args.shift());
    options[name] = value || true;
    if (name === "url") urls.push(value);
    if (BODY.includes(name)) data.push(value);
    const field = FIELDS[name]?.(value);
    if (field) headers.push(field);
    else if (field === undefined && FIELDS[name] || field === false && name === "cookie") ignored.push(`${word} ${value}`);
  }
  if (!urls.length) throw new Error("This command of curl names no URL.");
  const inQuery = options.get && data.length;
  const body = data.length > 0 && !inQuery;
  if (!headers.some(([name]) => name === "accept")) headers.push(["accept", "*/*"]); // as curl does
  const method = options.request?.toUpperCase() ?? (options.head ? "HEAD" : options["upload-file"] ? "PUT" : body ? "POST" : "GET");
  const url = inQuery ? urls[0] + (urls[0].includes("?") ? "&" : "?") + data.join("&") : urls[0];
  return { method, url: checked(url, "http://"), headers, body, ignored: [...ignored, ...urls.slice(1)] };
}

const ESCAPES = { n: "\n", t: "\t", r: "\r" };
const PIECE = /'([^']*)'|"((?:\\[^]|[^"\\])*)"|\$'((?:\\[^]|[^'\\])*)'|\\\r?\n|\\([^])|(\s+)|([^\s'"\\|;&<>]+?(?=\$')|[^\s'"\\|;&<>]+)/y;

/** The words of a command line, as bash reads them: quotes, `$'...'`, backslashes. Nothing is expanded. */
export function words(line) {
  const found = [];
  let word = null;
  for (PIECE.lastIndex = 0; PIECE.lastIndex < line.length;) {
    const mark = line[PIECE.lastIndex];
    const piece = PIECE.exec(line);
    if (!piece) throw new Error(/['"]/.test(mark) ? `A ${mark} is not closed.` : `Paste one command, without ${mark} outside of quotation marks.`);
    const [, single, double, ansi, escaped, space, plain] = piece;
    if (space === undefined) {
      const text = single ?? double?.replace(/\\(?:([$`"\\])|\n)/g, "$1") ?? ansi?.replace(ANSI, unescaped) ?? escaped ?? plain;
      if (text !== undefined) word = (word ?? "") + text; // else a line that goes on
    } else if (word !== null) {
      found.push(word);
      word = null;
    }
  }
  return word === null ? found : [...found, word];
}

const ANSI = /\\(?:x([0-9a-f]{1,2})|u([0-9a-f]{1,4})|([^]))/gi;
const unescaped = (_, hex, unicode, letter) => (letter ? ESCAPES[letter] ?? letter : String.fromCharCode(parseInt(hex ?? unicode, 16)));
