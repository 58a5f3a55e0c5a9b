/** The demo can't go on, or didn't see what it should have; the message says what to do or what was seen. */
export class DemoFailure extends Error {
  override readonly name = "DemoFailure";
}
