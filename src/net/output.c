#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/conn_priv.h"

enum {
  PARTS_MAX = 60, /* of one sendmsg */
  FILE_PIECE = 65536,
  TURN_MAX = 1 << 20, /* bytes of one connection before others have their turn */
};

struct _MnkOutItem {
  MnkOutItem *next;
  GBytes *bytes; /* NULL: a file */
  gsize done;    /* of prefix, bytes and suffix together */
  char prefix[20];
  guint8 prefix_length, suffix_length;
  int file;
  guint64 file_at, file_left;
};

static const char chunk_end[] = "\r\n";

static gsize item_length(const MnkOutItem *item) {
  return item->prefix_length + g_bytes_get_size(item->bytes) + item->suffix_length;
}

static MnkOutItem *output_add(MnkOutput *out, GBytes *bytes) {
  MnkOutItem *item = g_new0(MnkOutItem, 1);
  item->bytes = bytes ? g_bytes_ref(bytes) : NULL;
  item->file = -1;
  if (out->last)
    out->last->next = item;
  else
    out->first = item;
  out->last = item;
  return item;
}

void mnk_output_add_bytes(MnkOutput *out, GBytes *bytes) {
  out->pending += item_length(output_add(out, bytes)) + MNK_OUT_CHARGE;
}

void mnk_output_add_chunk(MnkOutput *out, GBytes *bytes) {
  MnkOutItem *item = output_add(out, bytes);
  int length = g_snprintf(item->prefix, sizeof item->prefix, "%" G_GSIZE_MODIFIER "x\r\n",
                          g_bytes_get_size(bytes));
  item->prefix_length = (guint8)length;
  item->suffix_length = sizeof chunk_end - 1;
  out->pending += item_length(item) + MNK_OUT_CHARGE;
}

void mnk_output_add_file(MnkOutput *out, int file, guint64 offset, guint64 length) {
  MnkOutItem *item = output_add(out, NULL);
  item->file = file;
  item->file_at = offset;
  item->file_left = length;
}

static void output_drop_first(MnkOutput *out) {
  MnkOutItem *item = out->first;
  out->first = item->next;
  if (!out->first)
    out->last = NULL;
  if (item->bytes)
    g_bytes_unref(item->bytes);
  if (item->file >= 0)
    close(item->file);
  g_free(item);
}

void mnk_output_clear(MnkOutput *out) {
  while (out->first)
    output_drop_first(out);
  out->pending = 0;
}

/* ---- Sending ---- */

typedef struct {
  struct iovec parts[PARTS_MAX];
  guint n;
} PartList;

static void parts_add(PartList *list, gconstpointer data, gsize length, gsize *skip) {
  gsize skipped = MIN(*skip, length);
  *skip -= skipped;
  if (length > skipped)
    list->parts[list->n++] =
        (struct iovec){(void *)((const char *)data + skipped), length - skipped};
}

static void parts_collect(PartList *list, const MnkOutItem *item) {
  for (; item && item->bytes && list->n + 3 <= PARTS_MAX; item = item->next) {
    gsize length, skip = item->done;
    gconstpointer data = g_bytes_get_data(item->bytes, &length);
    parts_add(list, item->prefix, item->prefix_length, &skip);
    parts_add(list, data, length, &skip);
    parts_add(list, chunk_end, item->suffix_length, &skip);
  }
}

static void output_account(MnkOutput *out, gsize sent) {
  out->pending -= sent;
  while (out->first && out->first->bytes) {
    gsize left = item_length(out->first) - out->first->done;
    if (left > sent) {
      out->first->done += sent;
      return;
    }
    sent -= left;
    out->pending -= MNK_OUT_CHARGE;
    output_drop_first(out);
  }
}

static gssize output_send_memory(MnkOutput *out, int fd) {
  PartList list = {.n = 0};
  parts_collect(&list, out->first);
  struct msghdr message = {.msg_iov = list.parts, .msg_iovlen = list.n};
  gssize n = list.n ? sendmsg(fd, &message, MSG_NOSIGNAL) : 0;
  if (n >= 0)
    output_account(out, (gsize)n);
  return n;
}

/* Read and sent rather than sendfile, which raises SIGPIPE. A file that has become shorter than was
 * announced ends the connection. */
static gssize output_send_file(MnkOutput *out, int fd) {
  guint8 piece[FILE_PIECE];
  MnkOutItem *item = out->first;
  gssize got = 0, n = 0;
  if (item->file_left > 0) {
    got = pread(item->file, piece, (gsize)MIN(item->file_left, sizeof piece), (off_t)item->file_at);
    if (got <= 0) {
      errno = EIO;
      return -1;
    }
    n = send(fd, piece, (gsize)got, MSG_NOSIGNAL);
  }
  if (n < 0)
    return n;
  item->file_at += (guint64)n;
  item->file_left -= (guint64)n;
  if (item->file_left == 0)
    output_drop_first(out);
  return n;
}

MnkSendResult mnk_output_send(MnkOutput *out, int fd, guint64 *sent) {
  *sent = 0;
  while (out->first) {
    if (*sent >= TURN_MAX)
      return MNK_SEND_TURN;
    gssize n = out->first->bytes ? output_send_memory(out, fd) : output_send_file(out, fd);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno == EAGAIN ? MNK_SEND_BLOCKED : MNK_SEND_FAILED;
    *sent += (guint64)n;
  }
  return MNK_SEND_ALL;
}
