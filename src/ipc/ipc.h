/* ipc: server <-> worker. A Unix socket pair carries length-prefixed messages; large bytes lie in
 * shared memory slots and only their place travels. A supervisor keeps the worker alive. */
#ifndef MNK_IPC_H
#define MNK_IPC_H

#include "base/base.h"
#include "wire/wire.h"

/* ---- Messages ---- */

typedef enum {
  /* server -> worker */
  MNK_MSG_HELLO = 1, /* JSON: settings of the worker; fd: the slots' memory */
  MNK_MSG_OPEN,      /* JSON: a source; fd: the file, for files */
  MNK_MSG_CLOSE,     /* JSON: {} end the stream */
  MNK_MSG_SET,       /* JSON: live parameters, preview */
  MNK_MSG_SLOT_FREE, /* JSON: {"slot"} */
  MNK_MSG_QUIT,      /* finish and exit */
  MNK_MSG_PING,
  MNK_MSG_INBOX, /* fd: the slots' memory that the server writes pushed frames to */
  MNK_MSG_FRAME, /* JSON: {"slot","length","pts_ms","arrival_us"}: a pushed JPEG */
  MNK_MSG_MARK,  /* JSON: {"number"}: answered when all that was sent before has been told */
  /* ... to the model worker, whose HELLO, OPEN and SET have members of their own. number: of a
   * call, which its answers repeat; places of bytes in an fd follow from the lengths */
  MNK_MSG_CLIP,   /* JSON: {"number","frames":[{"pts_ms","length","cut"}]}: JPEGs for the tower; fd:
                     their bytes */
  MNK_MSG_ASK,    /* JSON: {"number", the members of MnkLocalQuestion} */
  MNK_MSG_LIKELY, /* JSON: {"number","question","lang"} */
  MNK_MSG_CAPTION, /* JSON: {"number","frames":[{"index","pts_ms"}], words of the batch}; after the
                      clips with its frames */
  MNK_MSG_SAVE,    /* JSON: {"number"}; fd: an empty memory file for the snapshot */
  MNK_MSG_CANCEL,  /* JSON: {"number"} */
  /* worker -> server */
  MNK_MSG_READY = 64,  /* JSON: parts that work and faults */
  MNK_MSG_OPENED,      /* JSON: MnkSourceInfo */
  MNK_MSG_OBSERVATION, /* JSON: MnkObservation */
  MNK_MSG_PICTURE,     /* JSON: {"pts_ms","slot","length"}: a key frame as JPEG in a slot */
  MNK_MSG_GAP,         /* JSON: {"start_ms","end_ms","why"} a live source was away */
  MNK_MSG_COUNTERS,    /* JSON: frame counts and stage times, once a second and at the end */
  MNK_MSG_ENDED,       /* JSON: {"end_ms"} or {"error":{"code","message"}} */
  MNK_MSG_PONG,
  MNK_MSG_PREVIEW,    /* JSON: as PICTURE: a picture for viewers */
  MNK_MSG_FRAME_FREE, /* JSON: {"slot"}: the pushed bytes have been copied out */
  MNK_MSG_MARKED,     /* JSON: {"number"} */
  /* ... from the model worker */
  MNK_MSG_CLIPPED, /* JSON: {"number","order","encoded":[bool per frame],"ms", the members of
                      MnkLocalMemory}: a clip is done; order: clips of this stream so far */
  MNK_MSG_PIECE,   /* JSON: {"number","text"} of an answer */
  MNK_MSG_ANSWER,  /* JSON: {"number", an answer's members} or {"number","error":{"code","message"}}
                    */
  MNK_MSG_SAVED,   /* JSON: {"number","length","order"} or {"number","error"} */
  MNK_MSG_RESTORED, /* JSON: the members of MnkLocalMemory: what the snapshot of OPEN held */
} MnkMessageType;
gboolean mnk_message_type_is_known(guint type);

enum {
  MNK_MESSAGE_MAX = 1 << 20, /* bytes of payload */
  MNK_MESSAGE_MAX_FDS = 1,
};

typedef struct {
  MnkMessageType type;
  guint32 stream; /* number of the stream on this connection */
  GBytes *payload;
  int fd; /* -1: none; owned */
} MnkMessage;
void mnk_message_free(MnkMessage *message);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkMessage, mnk_message_free)
/* The payload as JSON, within mnk_json_limits_default. NULL: it is none. */
MnkJson *mnk_message_json(const MnkMessage *message, GError **error);

/* Header on the wire: u32 length of the payload, u16 type, u16 number of fds, u32 stream; host
 * order. */
typedef struct _MnkChannel MnkChannel;
MnkChannel *mnk_channel_new(int fd); /* takes the socket over */
void mnk_channel_free(MnkChannel *channel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkChannel, mnk_channel_free)
int mnk_channel_fd(const MnkChannel *channel);
/* Writes whole; blocks while the peer does not read, up to timeout_ms (-1: for ever, 0: not at
 * all). Any thread. The fd (-1: none) is sent, not closed. MNK_ERROR_LIMIT: payload over
 * MNK_MESSAGE_MAX, or time-out; a time-out in mid-message ends the sending for good, since the peer
 * could not tell where the next message starts. With 0 a message that has room for its beginning is
 * taken: what is left of it goes before the next one, or with mnk_channel_flush().
 * MNK_ERROR_CANCELLED: the peer has closed, or sending has ended. */
gboolean mnk_channel_send(MnkChannel *channel, MnkMessageType type, guint32 stream,
                          const char *payload, gsize length, int fd, int timeout_ms,
                          GError **error);
/* Writes what is left of a message, as far as there is room. FALSE: try again when there is. */
gboolean mnk_channel_flush(MnkChannel *channel);
/* The next whole message; waits up to timeout_ms (-1: for ever). NULL without an error: time-out;
 * what has come of a message is kept for the next call. NULL with MNK_ERROR_CANCELLED: the peer has
 * closed; with MNK_ERROR_BAD_INPUT: not our protocol. An error stays: every later call repeats it.
 * One thread. */
MnkMessage *mnk_channel_receive(MnkChannel *channel, int timeout_ms, GError **error);

/* ---- Sending without waiting ----
 *
 * Outbox, for a worker's main thread: a thread of its own sends, and may wait for the server.
 * Sender, for the server's main context: what the socket does not take goes out when it has room.
 */

typedef struct _MnkOutbox MnkOutbox;
/* Its thread begins with the first word: until then a cage can be closed. */
MnkOutbox *mnk_outbox_new(MnkChannel *channel);
/* Sends what it still holds. */
void mnk_outbox_free(MnkOutbox *outbox);
/* Never waits. When the server has not read for thousands of messages, it is lost. */
void mnk_outbox_send(MnkOutbox *outbox, MnkMessageType type, guint32 stream, const char *text,
                     gsize length);

typedef struct _MnkSender MnkSender;
MnkSender *mnk_sender_new(void); /* for the thread-default main context */
void mnk_sender_free(MnkSender *sender);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkSender, mnk_sender_free)
/* Sends to this channel (borrowed; NULL: to none) from now on; what waits is forgotten. */
void mnk_sender_connect(MnkSender *sender, MnkChannel *channel);
/* Takes fd (-1: none). Lost when there is no channel, or when thousands of messages wait. */
void mnk_sender_post(MnkSender *sender, MnkMessageType type, guint32 stream, const char *text,
                     gsize length, int fd);
/* Now or not at all: FALSE when something waits, the socket is full, or there is no channel. */
gboolean mnk_sender_try(MnkSender *sender, MnkMessageType type, guint32 stream, const char *text,
                        gsize length);

/* ---- Slots: fixed pieces of one memfd, sealed against resizing ----
 *
 * The side that writes acquires a slot, fills it and sends its number; the other copies the bytes
 * out and sends MNK_MSG_SLOT_FREE; the writer then releases. The reader must check the length that
 * it is told against mnk_slots_size() and must copy before it parses: the writer is not trusted and
 * can change the bytes at any time. Any thread may acquire and release. */

enum {
  MNK_SLOTS_MAX = 4096, /* slots in one memory */
  MNK_SLOTS_MAX_BYTES = 1 << 30,
};

typedef struct _MnkSlots MnkSlots;
MnkSlots *mnk_slots_new(guint n, gsize slot_size, GError **error); /* the server's side */
MnkSlots *mnk_slots_map(int fd, guint n, gsize slot_size,
                        GError **error); /* the worker's; checks the seals and size; takes fd */
void mnk_slots_free(MnkSlots *slots);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkSlots, mnk_slots_free)
int mnk_slots_fd(const MnkSlots *slots);
gsize mnk_slots_size(const MnkSlots *slots);
/* A free slot for writing, -1 when all are taken (metric slots_exhausted_total): the side that
 * writes keeps the book. */
int mnk_slots_acquire(MnkSlots *slots);
gboolean mnk_slots_release(MnkSlots *slots, guint slot); /* FALSE: was not taken */
guint8 *mnk_slots_bytes(MnkSlots *slots, guint slot);    /* NULL: no such slot */

/* ---- Supervisor ---- */

typedef struct {
  const char *const *argv;               /* the worker's command; "--fd N" is appended */
  guint deaths_max;                      /* within 60 s; then it is given up; 0: never */
  gint64 backoff_min_ms, backoff_max_ms; /* 100, 10000 */
  gint64 hang_ms; /* no message and no pong for this long: killed; 0: never. Time in which this
                     process itself stood still does not count */
} MnkSupervisorConfig;

typedef struct _MnkSupervisor MnkSupervisor;
typedef struct {
  /* The worker is up (again): send it HELLO and its streams. attempt counts from 0. The channel is
   * borrowed until died() or mnk_supervisor_stop(). */
  void (*started)(MnkChannel *channel, guint attempt, gpointer user);
  void (*message)(MnkMessage *message, gpointer user); /* borrowed */
  /* It died; why is a phrase ("killed by signal 9", "exit status 3", "did not answer for 20 s").
   * All that it had sent has been handed on before. */
  void (*died)(const char *why, gboolean given_up, gpointer user);
} MnkSupervisorEvents;

/* Runs in the thread-default main context of the thread that makes it; every event comes from
 * there, none from within a call below, and any call below may be made within an event, free too.
 *
 * The worker gets no other descriptors than 0 (/dev/null), 1 and 2 (both this process's standard
 * error, as results alone go to standard output) and its socket, and a session of its own, so that
 * Ctrl-C reaches only this process. It dies with the thread that starts it (PR_SET_PDEATHSIG): use
 * one that lives as long as the process. */
MnkSupervisor *mnk_supervisor_new(const MnkSupervisorConfig *config,
                                  const MnkSupervisorEvents *events, gpointer user);
/* FALSE with MNK_ERROR_WORKER when the command cannot be run. Also begins anew after a stop or
 * after the worker was given up. */
gboolean mnk_supervisor_start(MnkSupervisor *supervisor, GError **error);
MnkChannel *mnk_supervisor_channel(MnkSupervisor *supervisor); /* NULL while it is down */
GPid mnk_supervisor_pid(MnkSupervisor *supervisor);            /* 0 while it is down */
/* Asks it to quit, waits up to timeout_ms while what it still sends is thrown away, then sends
 * SIGTERM and a fifth of a second later SIGKILL (timeout 0: SIGKILL at once). Blocks; no event
 * comes of it. */
void mnk_supervisor_stop(MnkSupervisor *supervisor, gint64 timeout_ms);
void mnk_supervisor_free(MnkSupervisor *supervisor); /* stops with timeout 0 */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkSupervisor, mnk_supervisor_free)

/* What of this process's environment a worker gets: no keys of services. For children that are not
 * run by a supervisor. Caller frees. */
char **mnk_worker_environment(void);

/* ---- Sandbox ---- */

typedef struct {
  guint64 max_memory;          /* RLIMIT_AS is too coarse for mapped models: RLIMIT_DATA; 0: none */
  gboolean network;            /* sockets of families INET and INET6 may be made and connected */
  const char *const *writable; /* files, devices and folders (with all below them) that may be
                                  written, NULL-terminated, each existing; NULL: none */
} MnkSandboxConfig;
/* Confines this process for good; call it while the process has one thread.
 *
 * No new privileges, limits, no core files; a seccomp list of what decoders, OpenVINO, GLib and
 * cameras call, so no exec, no fork, no ptrace, no mounts, no signals to others, no sockets but as
 * above; everything else fails with EPERM. With nothing writable no file can be opened for writing
 * at all; with a list, Landlock confines writing to it where the kernel has Landlock (5.13), and
 * file permissions alone do where it has not (logged); changing a file's mode then succeeds without
 * doing anything.
 *
 * In builds with AddressSanitizer or ThreadSanitizer, max_memory has no effect (their shadow memory
 * counts as data), and what LeakSanitizer calls at exit (ptrace, a clone that shares memory, wait4)
 * is let through.
 *
 * MNK_ERROR_NOT_FOUND: a writable path that does not exist; MNK_ERROR_UNSUPPORTED: the kernel or
 * the container refuses seccomp; MNK_ERROR_INTERNAL: more than one thread. */
gboolean mnk_sandbox_enter(const MnkSandboxConfig *config, GError **error);

#endif
