import type { BodyExit, BodyTransform } from '../filters/http-filter.ts';

/** The transforms of one message in the order in which its bytes meet them. */
export class BodyChain {
  private readonly transforms: BodyTransform[] = [];

  constructor(private readonly exit: BodyExit) {}

  /** Adds a transform behind the others. */
  add(make: (exit: BodyExit) => BodyTransform): void {
    const next = this.transforms.length + 1;
    this.transforms.push(make({
      body: (bytes) => {
        const after = this.transforms[next];
        if (after === undefined) this.exit.body(bytes);
        else if (bytes.length > 0) after.push(bytes);
      },
      end: (trailers) => {
        const after = this.transforms[next];
        if (after === undefined) this.exit.end(trailers);
        else after.end(trailers);
      },
    }));
  }

  push(bytes: Buffer): void {
    this.transforms[0]!.push(bytes);
  }

  end(trailers: Parameters<BodyTransform['end']>[0]): void {
    this.transforms[0]!.end(trailers);
  }
}
