/** Tells on stderr what is being done, so that stdout holds the tables alone. */
export const progressOf =
  (program: string) =>
  (message: string): void => {
    const seconds = (performance.now() / 1000).toFixed(0).padStart(4);
    process.stderr.write(`${program} ${seconds}s  ${message}\n`);
  };
