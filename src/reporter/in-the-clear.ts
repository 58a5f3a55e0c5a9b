/** Whether token and entries could be read on their way there. On this machine's own addresses nobody but root listens. */
export const goesInTheClear = ({ protocol, hostname }: URL): boolean =>
  protocol === "http:" && !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
