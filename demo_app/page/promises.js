// What is promised in the state in which the parts are now, by name. A pure function of that state.

const OTHER = { A: "B", B: "A" };

/** A title and sentences. `state`: `{ valkey, A, B }`, each `{ runs, why, trusted, queued }`. */
export function promises(state) {
  const absent = ["A", "B"].filter((name) => !state[name].runs);
  const here = ["A", "B"].filter((name) => state[name].runs);
  const parts = [
    ...absent.map((name) => withoutInstance(name, state[name].why, state.valkey.runs)),
    ...(state.valkey.runs ? [] : [withoutValkey(here, state)]),
  ];
  const late = here.filter((name) => !state[name].trusted);
  if (state.valkey.runs && late.length) parts.push(returning(late));
  if (!parts.length) parts.push(whole());
  return {
    title: parts.map(({ title }) => title).join(" "),
    lines: parts.flatMap(({ lines }) => lines),
    tone: parts[0].tone,
  };
}

const whole = () => ({
  title: "Everything runs.", tone: "good",
  lines: [
    "An edit is in force on its own instance when it is answered: 0 old answers from then on.",
    "On the other instance it is in force within 10 ms (99 of 100 edits).",
    "What one instance has asked the application for, the other finds in Valkey.",
  ],
});

const withoutInstance = (name, why, valkey) => ({
  title: `Instance ${name} does not answer: ${why}; restart it.`, tone: "bad",
  lines: valkey
    ? [
      `${OTHER[name]} goes on: from its memory, from Valkey and from the application.`,
      `After its restart ${name} begins with an empty memory and finds in Valkey what is still valid: nothing older than the edits that it has missed.`,
    ]
    : [`After its restart ${name} begins with an empty memory, and asks the application.`],
});

const withoutValkey = (here, state) => ({
  title: "The second tier is away: Valkey was stopped.", tone: "warn",
  lines: [
    "What is asked of a running instance is answered: from its memory, or by the application.",
    "After 3 s without contact, an answer in memory is used for 5 s at most; then the application is asked again.",
    ...here.map((name) => {
      const { queued } = state[name];
      const waiting = queued ? `${queued} dropped name${queued === 1 ? "" : "s"} wait${queued === 1 ? "s" : ""} now` : "nothing waits now";
      const bound = state[OTHER[name]].runs ? ` ${OTHER[name]} shows the old price for 8 s at most.` : "";
      return `An edit on ${name} is in force on ${name} at once; for ${OTHER[name]} it is queued: ${waiting}.${bound}`;
    }),
    "When Valkey is back, the queued edits are sent by themselves. An instance that dies before that loses what it has queued.",
  ],
});

const returning = (late) => ({
  title: "Valkey answers again.", tone: "warn",
  lines: [
    `It is empty, so a new generation begins: all that was stored before counts as dropped, within 1.5 s. ${late.join(" and ")} will follow it by itself.`,
  ],
});
