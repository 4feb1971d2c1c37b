#include "media/io_priv.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

enum {
  BUFFER_BYTES = 64 * 1024,
  WAIT_MS = 50, /* a pipe that is silent is asked for an interrupt this often */
};

struct _MnkFdIo {
  int fd;
  gboolean regular;
  gint64 size, position;
  gboolean got_bytes;
  int failure;
  MnkInterrupt *interrupt;
  AVIOContext *context;
};

int mnk_interrupt_asked(void *opaque) {
  const MnkInterrupt *interrupt = opaque;
  if (interrupt->stopped && g_atomic_int_get(interrupt->stopped))
    return 1;
  return interrupt->deadline_us > 0 && g_get_monotonic_time() > interrupt->deadline_us;
}

void mnk_interrupt_arm(MnkInterrupt *interrupt, gint64 timeout_ms) {
  interrupt->deadline_us = timeout_ms > 0 ? g_get_monotonic_time() + timeout_ms * 1000 : 0;
}

/* FALSE: interrupted. */
static gboolean wait_readable(const MnkFdIo *io) {
  struct pollfd wait = {.fd = io->fd, .events = POLLIN};
  for (;;) {
    if (mnk_interrupt_asked(io->interrupt))
      return FALSE;
    int n = poll(&wait, 1, WAIT_MS);
    if (n > 0 || (n < 0 && errno != EINTR))
      return TRUE;
  }
}

static int read_bytes(void *opaque, uint8_t *bytes, int length) {
  MnkFdIo *io = opaque;
  if (io->regular ? mnk_interrupt_asked(io->interrupt) : !wait_readable(io))
    return AVERROR_EXIT;
  ssize_t n;
  do
    n = io->regular ? pread(io->fd, bytes, length, io->position) : read(io->fd, bytes, length);
  while (n < 0 && errno == EINTR);
  if (n < 0) {
    io->failure = errno;
    return AVERROR(errno);
  }
  if (n == 0)
    return AVERROR_EOF;
  io->got_bytes = TRUE;
  io->position += n;
  return (int)n;
}

static int64_t seek_bytes(void *opaque, int64_t offset, int whence) {
  MnkFdIo *io = opaque;
  if (whence & AVSEEK_SIZE)
    return io->size;
  gint64 from = 0;
  switch (whence & ~AVSEEK_FORCE) {
  case SEEK_SET:
    break;
  case SEEK_CUR:
    from = io->position;
    break;
  case SEEK_END:
    from = io->size;
    break;
  default:
    return AVERROR(EINVAL);
  }
  gint64 to;
  if (__builtin_add_overflow(from, offset, &to) || to < 0)
    return AVERROR(EINVAL);
  io->position = to;
  return to;
}

MnkFdIo *mnk_fd_io_new(int fd, const char *name, MnkInterrupt *interrupt, GError **error) {
  g_autoptr(MnkFdIo) io = g_new0(MnkFdIo, 1);
  io->fd = fd;
  io->interrupt = interrupt;
  struct stat about;
  if (fd < 0 || fstat(fd, &about) < 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "%s is not open: %s", name,
                g_strerror(fd < 0 ? EBADF : errno));
    return NULL;
  }
  if (S_ISDIR(about.st_mode)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s is a folder, not a video", name);
    return NULL;
  }
  io->regular = S_ISREG(about.st_mode);
  io->size = about.st_size;
  if (io->regular && io->size == 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s is empty", name);
    return NULL;
  }
  return g_steal_pointer(&io);
}

static void drop_context(MnkFdIo *io) {
  if (!io->context)
    return;
  /* libavformat may have put another buffer in the first one's place. */
  av_freep(&io->context->buffer);
  avio_context_free(&io->context);
}

void mnk_fd_io_free(MnkFdIo *io) {
  if (!io)
    return;
  drop_context(io);
  if (io->fd >= 0)
    close(io->fd);
  g_free(io);
}

AVIOContext *mnk_fd_io_rewind(MnkFdIo *io, gboolean may_seek) {
  drop_context(io);
  io->position = 0;
  guint8 *buffer = av_malloc(BUFFER_BYTES);
  if (!buffer)
    return NULL;
  io->context = avio_alloc_context(buffer, BUFFER_BYTES, 0, io, read_bytes, NULL,
                                   io->regular && may_seek ? seek_bytes : NULL);
  if (!io->context)
    av_free(buffer);
  return io->context;
}

gboolean mnk_fd_io_can_seek(const MnkFdIo *io) {
  return io->regular;
}

gboolean mnk_fd_io_was_empty(const MnkFdIo *io) {
  return !io->got_bytes;
}

int mnk_fd_io_errno(const MnkFdIo *io) {
  return io->failure;
}
