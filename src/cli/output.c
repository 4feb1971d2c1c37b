#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct _MnkOutput {
  MnkFormat format;
  int fd;
  gboolean terminal;
  char *path, *unfinished; /* NULL: standard output */
  MnkCaption *held;        /* vtt, srt: it may still grow */
  char *last_id;
  guint cues;
  gboolean header_written;
};

static gboolean open_file(MnkOutput *output, const char *path, GError **error) {
  output->path = g_strdup(path);
  output->unfinished = g_strdup_printf("%s.part", path);
  output->fd = open(output->unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (output->fd >= 0)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_OUTPUT, "%s cannot be written: %s", path,
              g_strerror(errno));
  return FALSE;
}

MnkOutput *mnk_output_open(const MnkSettings *settings, GError **error) {
  g_autoptr(MnkOutput) output = g_new0(MnkOutput, 1);
  const char *path = mnk_settings_string(settings, MNK_OPT_OUTPUT);
  output->format = (MnkFormat)mnk_settings_int(settings, MNK_OPT_FORMAT);
  output->fd = STDOUT_FILENO;
  if (path != NULL && !g_str_equal(path, "-") && !open_file(output, path, error))
    return NULL;
  output->terminal = isatty(output->fd);
  if (output->format == MNK_FORMAT_VTT) {
    g_autoptr(GString) header = g_string_new(NULL);
    mnk_vtt_write_header(header, mnk_settings_string(settings, MNK_OPT_LANG));
    if (!mnk_output_raw(output, header->str, header->len, error))
      return NULL;
  }
  return g_steal_pointer(&output);
}

gboolean mnk_output_raw(MnkOutput *output, const char *text, gsize length, GError **error) {
  while (length > 0) {
    ssize_t n = write(output->fd, text, length);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_OUTPUT, "%s cannot be written: %s",
                  output->path != NULL ? output->path : "standard output", g_strerror(errno));
      return FALSE;
    }
    text += n;
    length -= (gsize)n;
  }
  return TRUE;
}

/* Breaks the text between words, so that it stands in a column of its own beside the times. */
static void wrap_line(GString *out, const MnkCaption *caption, guint width) {
  g_autoptr(GString) line = g_string_new(NULL);
  mnk_text_write_line(line, caption);
  const char *text = strstr(line->str, "]  ");
  glong indent = text != NULL ? g_utf8_strlen(line->str, text - line->str) + 3 : 0;
  if (text == NULL || g_utf8_strlen(line->str, -1) <= (glong)width || indent > (glong)width / 2) {
    g_string_append_len(out, line->str, (gssize)line->len);
    return;
  }
  g_string_append_printf(out, "%s%.*s%s", mnk_style(STDOUT_FILENO, MNK_STYLE_DIM),
                         (int)(text + 1 - line->str), line->str,
                         mnk_style(STDOUT_FILENO, MNK_STYLE_PLAIN));
  g_strchomp(line->str);
  g_auto(GStrv) words = g_strsplit(text + 3, " ", -1);
  glong column = indent - 1;
  g_string_append_c(out, ' ');
  for (guint i = 0; words[i] != NULL; i++) {
    glong length = g_utf8_strlen(words[i], -1);
    if (i > 0 && column + 1 + length > (glong)width) {
      g_string_append_printf(out, "\n%*s", (int)indent, "");
      column = indent + length;
    } else {
      g_string_append_c(out, ' ');
      column += 1 + length;
    }
    g_string_append(out, words[i]);
  }
  g_string_append_c(out, '\n');
}

static void write_text(MnkOutput *output, const MnkCaption *caption, GString *out) {
  /* The same caption, only longer: its line is there already. */
  if (g_strcmp0(output->last_id, caption->id) == 0)
    return;
  g_free(output->last_id);
  output->last_id = g_strdup(caption->id);
  if (output->terminal)
    wrap_line(out, caption, mnk_terminal_width(output->fd));
  else
    mnk_text_write_line(out, caption);
}

/* Cues are written one late: the caption may still become longer. */
static void write_held(MnkOutput *output, GString *out) {
  if (output->held == NULL)
    return;
  if (output->format == MNK_FORMAT_VTT)
    mnk_vtt_write_cue(out, output->held);
  else if (!mnk_caption_is_gap(output->held))
    mnk_srt_write_cue(out, ++output->cues, output->held);
  g_clear_pointer(&output->held, mnk_caption_free);
}

gboolean mnk_output_write(MnkOutput *output, const MnkCaption *caption, GError **error) {
  g_autoptr(GString) out = g_string_new(NULL);
  switch (output->format) {
  case MNK_FORMAT_TEXT:
    write_text(output, caption, out);
    break;
  case MNK_FORMAT_JSONL:
    mnk_caption_write_json(caption, out);
    g_string_append_c(out, '\n');
    break;
  case MNK_FORMAT_VTT:
  case MNK_FORMAT_SRT:
    if (output->held != NULL && !g_str_equal(output->held->id, caption->id))
      write_held(output, out);
    mnk_caption_free(output->held);
    output->held = mnk_caption_copy(caption);
    break;
  }
  return mnk_output_raw(output, out->str, out->len, error);
}

gboolean mnk_output_close(MnkOutput *output, GError **error) {
  g_autoptr(GString) out = g_string_new(NULL);
  write_held(output, out);
  if (!mnk_output_raw(output, out->str, out->len, error))
    return FALSE;
  if (output->path == NULL)
    return TRUE;
  int fd = output->fd;
  output->fd = -1;
  if (fsync(fd) < 0 && errno != EINVAL && errno != EROFS) {
    close(fd);
    g_set_error(error, MNK_ERROR, MNK_ERROR_OUTPUT, "%s cannot be written: %s", output->path,
                g_strerror(errno));
    return FALSE;
  }
  close(fd);
  if (rename(output->unfinished, output->path) < 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_OUTPUT, "%s cannot be written: %s", output->path,
                g_strerror(errno));
    return FALSE;
  }
  return TRUE;
}

void mnk_output_free(MnkOutput *output) {
  if (output == NULL)
    return;
  if (output->path != NULL && output->fd >= 0) {
    close(output->fd);
    unlink(output->unfinished);
  }
  mnk_caption_free(output->held);
  g_free(output->path);
  g_free(output->unfinished);
  g_free(output->last_id);
  g_free(output);
}
