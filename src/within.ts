/** What the system's timers can wait for, in milliseconds. */
const LONGEST = 2 ** 31 - 1;

/** What the work gives, or null where it takes longer than so many milliseconds; the process lives on meanwhile. */
export async function within<Result>(milliseconds: number, work: Promise<Result>): Promise<Result | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), Math.min(milliseconds, LONGEST));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
