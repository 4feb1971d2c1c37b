/* Sockets, and GIO's streams (TLS), as what a WebSocket reads and writes. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/loop_priv.h"
#include "net/websocket_priv.h"

/* ---- A socket ---- */

typedef struct {
  MnkWsStream base;
  int fd;
  gboolean in, out;
  MnkWatch watch;
  void (*release)(gpointer lender);
  gpointer lender;
} FdStream;

static gssize fd_read(MnkWsStream *stream, guint8 *to, gsize room) {
  gssize n;
  do
    n = recv(((FdStream *)stream)->fd, to, room, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

static gssize fd_write(MnkWsStream *stream, const guint8 *bytes, gsize length) {
  gssize n;
  do
    n = send(((FdStream *)stream)->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

static void fd_ready(guint32 events, gpointer user) {
  FdStream *stream = user;
  gboolean gone = (events & (EPOLLHUP | EPOLLERR)) != 0;
  stream->base.ready(stream->in && (gone || (events & EPOLLIN)),
                     stream->out && (gone || (events & EPOLLOUT)), stream->base.user);
}

/* Nothing to wait for: no watch at all, since the loss of a peer is told unasked, and again and
 * again, while what it sent before may not be read yet. */
static void fd_watch(MnkWsStream *base, gboolean in, gboolean out) {
  FdStream *stream = (FdStream *)base;
  guint32 events = (in ? (guint32)EPOLLIN : 0) | (out ? (guint32)EPOLLOUT : 0);
  stream->in = in;
  stream->out = out;
  if (!events)
    mnk_loop_watch_clear(&stream->watch);
  else if (stream->watch.loop)
    mnk_loop_watch_set(&stream->watch, events);
  else if (!mnk_loop_watch_init(&stream->watch, stream->fd, events, fd_ready, stream))
    shutdown(stream->fd, SHUT_RDWR); /* the next ping tells */
}

static void fd_end_output(MnkWsStream *stream) {
  shutdown(((FdStream *)stream)->fd, SHUT_WR);
}

static void fd_free(MnkWsStream *base) {
  FdStream *stream = (FdStream *)base;
  mnk_loop_watch_clear(&stream->watch);
  if (stream->release)
    stream->release(stream->lender);
  else
    close(stream->fd);
  g_free(stream);
}

MnkWsStream *mnk_ws_fd_stream_new(int fd, void (*release)(gpointer lender), gpointer lender) {
  FdStream *stream = g_new0(FdStream, 1);
  stream->base = (MnkWsStream){.read = fd_read,
                               .write = fd_write,
                               .watch = fd_watch,
                               .end_output = fd_end_output,
                               .free = fd_free};
  stream->fd = fd;
  stream->release = release;
  stream->lender = lender;
  return &stream->base;
}

/* ---- GIO ---- */

typedef struct {
  MnkWsStream base;
  GIOStream *io;
  GSource *in, *out; /* NULL: not watched */
} IoStream;

static gssize io_result(gssize n, GError *error) {
  if (n >= 0)
    return n;
  gssize result = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK) ? -EAGAIN : -EIO;
  g_error_free(error);
  return result;
}

static gssize io_read(MnkWsStream *stream, guint8 *to, gsize room) {
  GInputStream *in = g_io_stream_get_input_stream(((IoStream *)stream)->io);
  GError *error = NULL;
  gssize n =
      g_pollable_input_stream_read_nonblocking(G_POLLABLE_INPUT_STREAM(in), to, room, NULL, &error);
  return io_result(n, error);
}

static gssize io_write(MnkWsStream *stream, const guint8 *bytes, gsize length) {
  GOutputStream *out = g_io_stream_get_output_stream(((IoStream *)stream)->io);
  GError *error = NULL;
  gssize n = g_pollable_output_stream_write_nonblocking(G_POLLABLE_OUTPUT_STREAM(out), bytes,
                                                        length, NULL, &error);
  return io_result(n, error);
}

static gboolean io_readable(GObject *pollable, gpointer user) {
  IoStream *stream = user;
  stream->base.ready(TRUE, FALSE, stream->base.user);
  return G_SOURCE_CONTINUE;
}

static gboolean io_writable(GObject *pollable, gpointer user) {
  IoStream *stream = user;
  stream->base.ready(FALSE, TRUE, stream->base.user);
  return G_SOURCE_CONTINUE;
}

static void drop_source(GSource **source) {
  if (*source)
    g_source_destroy(*source);
  g_clear_pointer(source, g_source_unref);
}

static GSource *attach_source(GSource *source, GPollableSourceFunc func, gpointer user) {
  g_source_set_callback(source, G_SOURCE_FUNC(func), user, NULL);
  g_source_attach(source, g_main_context_get_thread_default());
  return source;
}

static void io_watch(MnkWsStream *base, gboolean in, gboolean out) {
  IoStream *stream = (IoStream *)base;
  GInputStream *input = g_io_stream_get_input_stream(stream->io);
  GOutputStream *output = g_io_stream_get_output_stream(stream->io);
  if (!in)
    drop_source(&stream->in);
  else if (!stream->in)
    stream->in =
        attach_source(g_pollable_input_stream_create_source(G_POLLABLE_INPUT_STREAM(input), NULL),
                      io_readable, stream);
  if (!out)
    drop_source(&stream->out);
  else if (!stream->out)
    stream->out = attach_source(
        g_pollable_output_stream_create_source(G_POLLABLE_OUTPUT_STREAM(output), NULL), io_writable,
        stream);
}

/* TLS has no half of a connection to close; freeing says good-bye. */
static void io_end_output(MnkWsStream *stream) {
}

static void io_free(MnkWsStream *base) {
  IoStream *stream = (IoStream *)base;
  drop_source(&stream->in);
  drop_source(&stream->out);
  g_io_stream_close_async(stream->io, G_PRIORITY_DEFAULT, NULL, NULL, NULL);
  g_object_unref(stream->io);
  g_free(stream);
}

MnkWsStream *mnk_ws_io_stream_new(GIOStream *io) {
  IoStream *stream = g_new0(IoStream, 1);
  stream->base = (MnkWsStream){.read = io_read,
                               .write = io_write,
                               .watch = io_watch,
                               .end_output = io_end_output,
                               .free = io_free};
  stream->io = g_object_ref(io);
  return &stream->base;
}
