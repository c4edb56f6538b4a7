/**
 * What the login shell of the other side is told to run. Whichever shell that is (csh and fish among them)
 * must read it alike, so it is one line, and there is no quote, backslash or exclamation mark in what is
 * quoted.
 */
const START = line(`
  command -v bash >/dev/null 2>&1 || { echo "$2 no-bash"; exit 127; };
  exec bash --norc --noprofile -c "$1" errand "$2" "$3" "$4" "$5"
`)

/**
 * Run by bash, with the channel as its stdin: the script, and then a newline now and then for as long as it
 * is to go on. Its arguments are the marker, the size of the script in bytes, the seconds between newlines
 * after which nobody is there any more, and -x or nothing.
 *
 * bash becomes the script's by exec: its pid, its session (sshd began one for it) and, to sshd, its exit
 * status or signal are the script's. Beside it, and not its child, remains the watch, which the end of the
 * input wakes. The input ends when the script has exited, as sshd closes it then, and when the connection has
 * gone, by whatever way. In the second case the script is still there, and its whole session is ended: as it
 * was found, so that what a trap of the script begins is left to finish within the second that it has.
 */
const BASH = line(`
  mask=$(umask); umask 077;
  file=$(mktemp) || exit 1;
  clean() { rm -f "$file"; };
  trap clean EXIT; trap "exit 1" HUP INT TERM;
  head -c "$2" >"$file";
  [ "$(wc -c <"$file")" -eq "$2" ] || { echo "the script did not arrive whole" >&2; exit 1; };
  stop() {
    [ -r /proc/self/stat ] || { kill -s "$1" -- "-$$"; return; };
    read -r self rest </proc/self/stat;
    found=;
    for place in /proc/[0-9]*; do
      { read -r stat <"$place/stat"; } || continue;
      set -- "$1" $\{stat##*) };
      [ "$4" = "$$" ] || [ "$5" = "$$" ] || continue;
      [ "$2" = Z ] || [ "$place" = "/proc/$self" ] || found="$found $\{place#/proc/}";
    done;
    [ -n "$found" ] && kill -s "$1" $found; };
  watch() {
    trap "" HUP INT TERM;
    while read -r -t "$1" rest; do :; done;
    clean;
    kill -0 "$$" || return;
    stop TERM;
    sleep 1;
    for try in 1 2 3 4 5; do stop KILL || break; done; };
  exec 3<&0 </dev/null;
  ( watch "$3" <&3 3<&- >/dev/null 2>&1 & );
  exec 3<&-;
  trap - EXIT HUP INT TERM; umask "$mask";
  leader=; kill -0 -- "-$$" 2>/dev/null || leader=setsid;
  echo "$1";
  exec 2>&1;
  SHLVL=1; exec $leader bash --norc $4 "$file"
`)

/** What it takes to run a script of some size. */
export interface RemoteCommandOptions {
  /** A line of stdout after which all is the script's. Letters, digits and dashes. */
  marker: string
  /** How much of stdin is the script. */
  bytes: number
  /** Seconds after the last newline when the script is ended. */
  leaseSeconds: number
  isDebugging: boolean
}

/** The command that runs the script which it is sent, and ends it when whoever sent it has gone. */
export function remoteCommand({ marker, bytes, leaseSeconds, isDebugging }: RemoteCommandOptions) {
  const debug = isDebugging ? '-x' : '""'
  return `exec sh -c '${START}' sh '${BASH}' ${marker} ${bytes} ${leaseSeconds} ${debug}`
}

function line(text: string): string {
  return text.trim().replace(/\n\s*/g, ' ')
}
