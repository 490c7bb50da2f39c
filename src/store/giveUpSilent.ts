import type { Socket } from 'node:net';

/**
 * A server that is frozen, or behind a cut network, neither answers nor fails: a connection on which nothing has moved for
 * so long is given up. No statement here takes nearly as long; an idle connection is opened anew when it is needed.
 */
const SILENCE_MAX_MS = 20_000;

export function giveUpSilent(socket: Socket, silenceMaxMs = SILENCE_MAX_MS): void {
  const error = Object.assign(new Error(`No answer for ${silenceMaxMs} ms`), { code: 'ETIMEDOUT' });
  socket.setTimeout(silenceMaxMs);
  socket.on('timeout', () => {
    let isHeard = false;
    const hear = () => {
      isHeard = true;
    };
    socket.once('data', hear);
    // Timers come first in a turn of the loop. After a pause of this process (STOP, a busy machine) the answer may be there,
    // unread: it is read in this turn, before the check.
    setImmediate(() => {
      socket.off('data', hear);
      if (!isHeard) socket.destroy(error);
    });
  });
}
