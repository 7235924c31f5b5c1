// Which answers are old: those to a request that was sent after a newer version had been acknowledged.

export class Versions {
  #acknowledged = []; // { version, at }: the answer to an edit came at this moment

  acknowledge(version, at) {
    this.#acknowledged.push({ version, at });
  }

  isOld({ version, started }) {
    return this.#acknowledged.some((edit) => edit.at <= started && version < edit.version);
  }

  /** What became of an edit at another instance: the answers since, in order of time. */
  static verdict(answers, edited) {
    const since = answers.filter(({ started }) => started >= edited.ended);
    const old = since.filter(({ version }) => version < edited.version);
    const first = since.find(({ version }) => version >= edited.version);
    return {
      answers: since.length,
      old: old.length,
      // From the edit's answer to the last moment at which the old price was seen.
      oldFor: old.length ? Math.max(...old.map(({ ended }) => ended)) - edited.ended : 0,
      firstAfter: first && first.ended - edited.ended,
    };
  }
}
