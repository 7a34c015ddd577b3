import type { HeaderMap } from '../../http/message.ts';
import type { BodyExit, BodyTransform } from '../http-filter.ts';

/** Flag byte and length of a gRPC message. */
const PREFIX_BYTES = 5;
/** Flag of the message that carries the trailers. @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md */
const TRAILERS = 0x80;

/** Decodes base64 in its four-letter groups, whatever the pieces it comes in. `broken`: it is none; `short`: it ends inside a group. */
export class WebTextRequest implements BodyTransform {
  private rest = '';
  private failed = false;

  constructor(
    private readonly exit: BodyExit,
    private readonly fail: (what: 'broken' | 'short') => void,
  ) {}

  push(bytes: Buffer): void {
    if (this.failed) return;
    const text = this.rest + bytes.toString('latin1');
    const whole = text.length - (text.length % 4);
    this.rest = text.slice(whole);
    const groups = text.slice(0, whole);
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(groups)) this.give('broken');
    else if (whole > 0) this.exit.body(Buffer.from(groups, 'base64'));
  }

  end(trailers: HeaderMap | undefined): void {
    if (this.failed) return;
    if (this.rest === '') this.exit.end(trailers);
    else this.give('short');
  }

  private give(what: 'broken' | 'short'): void {
    this.failed = true;
    this.fail(what);
  }
}

/** Answers with the trailers as the last message. As text every message is base64 of its own, since clients decode message by message. */
export class WebResponse implements BodyTransform {
  /** Bytes of the message that has begun; text only. */
  private pending: Buffer = Buffer.alloc(0);
  /** How much of that message is not encoded yet; -1 = its length is not known. */
  private left = -1;

  constructor(
    private readonly exit: BodyExit,
    private readonly text: boolean,
  ) {}

  push(bytes: Buffer): void {
    if (!this.text) {
      this.exit.body(bytes);
      return;
    }
    this.pending = this.pending.length === 0 ? bytes : Buffer.concat([this.pending, bytes]);
    while (this.encodeSome());
  }

  /** True: there may be more to do. */
  private encodeSome(): boolean {
    const { pending } = this;
    if (this.left < 0) {
      if (pending.length < PREFIX_BYTES) return false;
      this.left = PREFIX_BYTES + pending.readUInt32BE(1);
    }
    const complete = pending.length >= this.left;
    // Inside a message only groups of three bytes can be encoded without padding.
    const count = complete ? this.left : pending.length - (pending.length % 3);
    if (count > 0) this.write(pending.subarray(0, count));
    this.pending = pending.subarray(count);
    this.left = complete ? -1 : this.left - count;
    return complete;
  }

  end(trailers: HeaderMap | undefined): void {
    // What is no whole message goes on as it is: the client can say better than we what is wrong.
    if (this.pending.length > 0) this.write(this.pending);
    if (trailers !== undefined) this.write(trailerMessage(trailers));
    this.exit.end(undefined);
  }

  private write(bytes: Buffer): void {
    this.exit.body(this.text ? Buffer.from(bytes.toString('base64'), 'latin1') : bytes);
  }
}

function trailerMessage(trailers: HeaderMap): Buffer {
  let lines = '';
  for (const [name, value] of trailers.entries()) lines += `${name}:${value}\r\n`;
  const block = Buffer.alloc(PREFIX_BYTES + lines.length);
  block[0] = TRAILERS;
  block.writeUInt32BE(lines.length, 1);
  block.write(lines, PREFIX_BYTES, 'latin1');
  return block;
}
