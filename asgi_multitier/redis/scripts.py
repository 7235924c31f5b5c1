"""The scripts that run in the server. Each states its keys, its arguments and its reply.

All keys of one script are in one slot (only `WRITE` takes any keys of a single server).
`allow-oom` lets the log go on where no memory is left for data: an invalidation must not fail
because the cache is full.
"""

import hashlib
from collections.abc import Awaitable, Sequence
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from .client import Work, send
from .recipe import RedisClient

Value = str | bytes | int

_NO_FLAGS = "unexpected symbol near '#'"
"""What Lua says of a first line with flags where the server does not take it off."""


class Script:
    """A script, called by its digest: its text is sent only if the server does not have it.

    Args:
        body: Lua.
        flags: Flags of the first line. A server before Redis 7 does not know such a line, nor does
            fakeredis: it gets the body without it.
    """

    __slots__ = ("_bare", "_bare_digest", "_digest", "_text")

    def __init__(self, body: str, flags: str) -> None:
        self._bare = body
        self._text = (f"#!lua flags={flags}\n" if flags else "#!lua\n") + body
        self._bare_digest = _digest(self._bare)
        self._digest = _digest(self._text)

    def command(self, keys: Sequence[str], *args: Value) -> tuple[Value, ...]:
        """The command that runs it if the server has it, for a pipeline."""
        return ("EVALSHA", self._digest, len(keys), *keys, *args)

    def work(self, keys: Sequence[str], *args: Value) -> Work:
        """Work that runs it."""
        return lambda client: self.run(client, keys, *args)

    async def run(self, client: RedisClient, keys: Sequence[str], *args: Value) -> Any:
        """Run it; its reply."""
        try:
            return await _run(client, self._digest, self._text, keys, args)
        except ResponseError as error:
            if _NO_FLAGS not in str(error):
                raise
        return await _run(client, self._bare_digest, self._bare, keys, args)


async def _run(
    client: RedisClient, digest: str, text: str, keys: Sequence[str], args: Sequence[Value]
) -> Any:
    try:
        return await _evaluate(client, "EVALSHA", digest, keys, args)
    except NoScriptError:
        return await _evaluate(client, "EVAL", text, keys, args)


def _digest(text: str) -> str:
    # The protocol of EVALSHA fixes the algorithm; nothing rests on its strength.
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _evaluate(
    client: RedisClient, command: str, script: str, keys: Sequence[str], args: Sequence[Value]
) -> Awaitable[Any]:
    return send(client, command, script, len(keys), *keys, *args)


_TYPES = """
local function is_of_another_type(reply)
  return reply.err and string.find(tostring(reply.err), 'WRONGTYPE', 1, true)
end
"""
"""Whether `pcall` failed since the key has another type. In fakeredis `err` is no string."""

_BEGIN = (
    _TYPES
    + """
local function need(command, ...)
  if redis.acl_check_cmd and not redis.acl_check_cmd(command, ...) then
    error({err = 'NOPERM this user has no permission to run ' .. command})
  end
end
local function need_to_write()
  need('HSET', KEYS[1], 'f', 'v')
  need('XADD', KEYS[2], '*', 'f', 'v')
  need('PEXPIRE', KEYS[1], '1')
end
local function control(...)
  local found = redis.pcall('HMGET', KEYS[1], 'gen', 'seq', 'last', ...)
  if is_of_another_type(found) then
    return {}
  elseif found.err then
    return redis.call('HMGET', KEYS[1], 'gen', 'seq', 'last', ...)
  end
  local gen, seq, last = unpack(found, 1, 3)
  local whole = gen and last and string.match(seq or '', '^%d+$') and #seq < 16
  return whole and found or {}
end
local function begin(gen, after, run, ttl)
  need('DEL', KEYS[1])
  need_to_write()
  local seq = string.format('%.0f', after + 1)
  local op = 'gen:' .. gen
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'gen', gen, 'seq', seq, 'last', op, 'run', run)
  redis.call('XADD', KEYS[2], seq .. '-0', 'g', gen, 'p', '', 'o', op, 'd', '', 'm', '')
  redis.call('PEXPIRE', KEYS[1], ttl)
  redis.call('PEXPIRE', KEYS[2], ttl)
end
local function run_id()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
end
local function number(id)
  return string.match(id, '^%d+')
end
"""
)
"""Functions that the scripts of the log share.

Permissions are checked before anything is changed: a script that is refused half-way would leave a
record without its number, or no log, to nodes whose user may do more. A key of another type, or an
incomplete control hash, was not written by these scripts: it is replaced.
"""

ATTACH = Script(
    _BEGIN
    + """
local ctl = control('run')
local run = run_id()
local mine = tonumber(ARGV[1])
local told = run ~= '' and ctl[4] and ctl[4] ~= ''
local moved = ARGV[4] == '1' and told and ctl[4] ~= run
local oldest = redis.pcall('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)
if not ctl[1] or ctl[1] == ARGV[3] or moved or is_of_another_type(oldest) then
  begin(ARGV[2], math.max(mine, tonumber(ctl[2] or 0)), run, ARGV[5])
  ctl = control()
elseif ARGV[6] == '1' then
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
end
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
local top = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local at = redis.call('XRANGE', KEYS[2], ARGV[1] .. '-0', ARGV[1] .. '-0')[1]
local op = false
if at then
  for i = 1, #at[2], 2 do
    if at[2][i] == 'o' then op = at[2][i + 1] end
  end
end
first = first and number(first[1]) or false
top = top and number(top[1]) or false
return {ctl[1], ctl[2], ctl[3], first, top, op}
""",
    "allow-oom",
)
"""Read the state of the log; begin a generation if there is none, or this one is condemned.

KEYS: control hash, log. ARGV: number applied by the caller; random name for a generation that may
be begun; generation condemned by the caller, "" if none; "1" to begin one if this is not the server
on which it was begun (unknown to a user that may not run INFO); lifetime of the keys in ms; "1" to
renew it.
A generation continues to count after the highest number known, so that nodes that wait for the next
record get it at once. Reply: gen, seq, last operation, number of the oldest and of the youngest
record, operation at the caller's number (the last three nil if there is none).
"""

APPEND = Script(
    _BEGIN
    + """
need_to_write()
local ctl = control('bytes', 'cut')
if not ctl[1] then
  begin(ARGV[4], tonumber(ARGV[7]), run_id(), ARGV[6])
  ctl = control('bytes', 'cut')
end
local function add()
  local seq = string.format('%.0f', tonumber(ctl[2]) + 1)
  local bytes = tonumber(ctl[4] or 0) + #ARGV[2] + 200
  local done = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], seq .. '-0', 'g', ctl[1],
    'p', ctl[3], 'o', ARGV[1], 'd', ARGV[2], 'm', ARGV[3], 'b', string.format('%.0f', bytes))
  return seq, not (type(done) == 'table' and done.err), bytes
end
local function trim(bytes)
  local cut, kept = tonumber(ctl[5] or 0), nil
  while bytes - cut > tonumber(ARGV[8]) do
    if kept == 1 then break end
    local done = kept and redis.pcall('XTRIM', KEYS[2], 'MAXLEN', math.floor(kept * 3 / 4))
    kept = redis.pcall('XLEN', KEYS[2])
    if type(done) == 'table' or type(kept) == 'table' then break end
    local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1][2]
    cut = oldest[11] == 'b' and tonumber(oldest[12]) or 0
  end
  return string.format('%.0f', cut)
end
local seq, done, bytes = add()
if not done then
  begin(ARGV[4], tonumber(ctl[2]) + 1, run_id(), ARGV[6])
  ctl = control('bytes', 'cut')
  seq, done, bytes = add()
end
redis.call('HSET', KEYS[1], 'seq', seq, 'last', ARGV[1], 'bytes', string.format('%.0f', bytes),
  'cut', trim(bytes))
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return {ctl[1], seq}
""",
    "allow-oom",
)
"""Write one record.

KEYS: control hash, log. ARGV: operation; body; MAC; random name for a generation that may be begun;
approximate number of records to keep; lifetime of the keys in ms; number applied by the writer;
approximate bytes to keep.
Each record holds the bytes that its generation had then (`b`; absent in records of an earlier
release), and `cut` is the oldest one's: beyond the bound a quarter of the records is removed. Where
that is refused, the record is written anyway.
A log whose records are numbered above its control hash was not written by these scripts: a new one
is begun. Reply: generation and number of the record.
"""

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

_TEXT = (
    _TYPES
    + """
local function text(...)
  local reply = redis.pcall(...)
  if type(reply) ~= 'table' then
    return reply
  end
  return not is_of_another_type(reply) and redis.call(...)
end
"""
)
"""The reply of a command on a key of its type; `false` if the key has another type.

Such a key, which these scripts did not write, must not fail the others.
"""

WRITE = Script(
    _TEXT
    + """
local done = {}
for i, key in ipairs(KEYS) do
  local value, ttl = ARGV[2 * i - 1], ARGV[2 * i]
  local held = text('GETRANGE', key, 0, 47)
  if held and #held == 48 and string.sub(held, 1, 32) == string.sub(value, 1, 32)
    and tonumber(string.sub(held, 33)) > tonumber(string.sub(value, 33, 48)) then
    done[i] = 0
  else
    redis.call('SET', key, value, 'PX', ttl)
    done[i] = 1
  end
end
return done
""",
    "",
)
"""Store values, each unless the key holds a younger one of the same generation.

KEYS: entries of one server. ARGV, for each: value, beginning with its birth (see `tier`); lifetime
in ms. Reply, for each: 1 or 0.
"""

CLAIM = Script(
    _TEXT
    + """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return {-1, ''}
end
local left = redis.call('PTTL', KEYS[1])
if left == -1 then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return {left, ARGV[3] == '1' and text('GETRANGE', KEYS[1], 0, 99) or ''}
""",
    "",
)
"""Take a lease. KEYS: lease. ARGV: token; lifetime in ms; "1" to be told the holder's token.

Reply: -1 if it was free and is taken now, else the ms that its holder has left; and the holder's
token, or "". A key without a lifetime gets one.
"""

RENEW = Script(
    _TEXT
    + """
if text('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
""",
    "allow-oom",
)
"""Renew a lease. KEYS: lease. ARGV: token; lifetime in ms. Reply: 1, or 0 if it is another's."""

RELEASE = Script(
    _TEXT
    + """
if text('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
local entry = {'XADD', KEYS[2], 'MAXLEN', '~', 1000, '*', 'k', ARGV[2]}
if not text(unpack(entry)) then
  redis.call('DEL', KEYS[2])
  redis.call(unpack(entry))
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
""",
    "allow-oom",
)
"""Release a lease. KEYS: lease; stream of releases. ARGV: token; key; ms to keep the stream.

Reply: 1, or 0 if the lease is another's by now. A key of another type is replaced by a stream.
"""
