"""What a user of the server must be allowed to do, and what of it this one is not.

The server is asked whether it would allow each command; nothing is run. Servers before Redis 7
cannot be asked that way: there the first command that is refused says so itself.
"""

from typing import Any

from .client import Client
from .scripts import Script

CHECK = Script(
    """
local refused = {}
if not redis.acl_check_cmd then
  return refused
end
for _, text in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(text, '%S+') do
    words[#words + 1] = word
  end
  if not redis.acl_check_cmd(unpack(words)) then
    refused[#refused + 1] = text
  end
end
return refused
""",
    "no-writes,allow-oom",
)
"""KEYS: the log. ARGV: commands with their arguments. Reply: those that the user may not run."""

_LOG = (
    "HMGET {log}:ctl gen",
    "HSET {log}:ctl gen x",
    "DEL {log}:ctl",
    "PEXPIRE {log}:ctl 1",
    "INFO server",
    "XADD {log} * f v",
    "XLEN {log}",
    "XTRIM {log} MAXLEN 1",
    "XRANGE {log} - +",
    "XREVRANGE {log} + -",
    "XREAD STREAMS {log} 0",
)
_ENTRIES = (
    "GET {entry}",
    "GETRANGE {entry} 0 1",
    "PTTL {entry}",
    "SET {entry} v",
    "UNLINK {entry}",
)


async def refused(client: Client, log: str, namespace: str) -> list[str]:
    """The commands, with the keys, that the user may not run although the cache needs them.

    Args:
        client: A client of that user.
        log: Key of the log.
        namespace: Stands before the keys of entries.
    """
    # A space within a key would part it; names of logs and namespaces have none.
    needed = [text.format(log=log, entry=f"{namespace}:e:x") for text in _LOG + _ENTRIES]
    reply: list[Any] = await CHECK.run(client, [log], *needed)
    return [text.decode() for text in reply]
