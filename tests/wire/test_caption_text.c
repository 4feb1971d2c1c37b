/* Captions as WebVTT, SRT and text: one table of captions, with what each format makes of it. */
#include "wire/caption.h"

#include <string.h>

typedef struct {
  const char *name, *text;
  gint64 start_ms, end_ms;
  const char *vtt, *srt, *line;
} Case;

static const Case cases[] = {
    {"plain", "A cat on a sofa.", 4000, 10000,
     "c1\n00:00:04.000 --> 00:00:10.000\nA cat on a sofa.\n\n",
     "7\r\n00:00:04,000 --> 00:00:10,000\r\nA cat on a sofa.\r\n\r\n",
     "[0:04 - 0:10]  A cat on a sofa.\n"},
    {"hours", "x", 3723456, 360000000, "c1\n01:02:03.456 --> 100:00:00.000\nx\n\n",
     "7\r\n01:02:03,456 --> 100:00:00,000\r\nx\r\n\r\n", "[1:02:03 - 100:00:00]  x\n"},
    {"rounding", "x", 1499, 1500, "c1\n00:00:01.499 --> 00:00:01.500\nx\n\n",
     "7\r\n00:00:01,499 --> 00:00:01,500\r\nx\r\n\r\n", "[0:01 - 0:02]  x\n"},
    {"short", "x", 9680, 10000, "c1\n00:00:09.680 --> 00:00:10.000\nx\n\n",
     "7\r\n00:00:09,680 --> 00:00:10,000\r\nx\r\n\r\n", "[0:09.7 - 0:10.0]  x\n"},
    {"no-length", "x", 2000, 2000, "c1\n00:00:02.000 --> 00:00:02.001\nx\n\n",
     "7\r\n00:00:02,000 --> 00:00:02,001\r\nx\r\n\r\n", "[0:02 - 0:02]  x\n"},
    {"negative", "x", -5000, -1000, "c1\n00:00:00.000 --> 00:00:00.001\nx\n\n",
     "7\r\n00:00:00,000 --> 00:00:00,001\r\nx\r\n\r\n", "[0:00 - 0:00]  x\n"},
    {"arrow", "a --> b", 0, 1000, "c1\n00:00:00.000 --> 00:00:01.000\na --&gt; b\n\n",
     "7\r\n00:00:00,000 --> 00:00:01,000\r\na --\xe2\x80\xba b\r\n\r\n",
     "[0:00 - 0:01]  a --> b\n"},
    {"tags", "<b>R&B</b> {\\an8}x {y}", 0, 1000,
     "c1\n00:00:00.000 --> 00:00:01.000\n&lt;b&gt;R&amp;B&lt;/b&gt; {\\an8}x {y}\n\n",
     "7\r\n00:00:00,000 --> 00:00:01,000\r\n\xe2\x80\xb9"
     "b\xe2\x80\xbaR&B\xe2\x80\xb9/b\xe2\x80\xba (\\an8}x {y}\r\n\r\n",
     "[0:00 - 0:01]  <b>R&B</b> {\\an8}x {y}\n"},
    {"blank-lines", "\n\r\n a\r\n\r\n \t \n\rb \n\n", 0, 1000,
     "c1\n00:00:00.000 --> 00:00:01.000\na\nb\n\n",
     "7\r\n00:00:00,000 --> 00:00:01,000\r\na\r\nb\r\n\r\n", NULL},
    {"forged-cue", "a\n\n00:00:09.000 --> 00:00:10.000\nb", 0, 1000,
     "c1\n00:00:00.000 --> 00:00:01.000\na\n00:00:09.000 --&gt; 00:00:10.000\nb\n\n", NULL,
     "[0:00 - 0:01]  a  00:00:09.000 --> 00:00:10.000 b\n"},
    {"controls", "a\x1b[2Jb\x07", 0, 1000, "c1\n00:00:00.000 --> 00:00:01.000\na [2Jb \n\n",
     "7\r\n00:00:00,000 --> 00:00:01,000\r\na [2Jb \r\n\r\n", "[0:00 - 0:01]  a\\x1b[2Jb\\x07\n"},
    {"invalid-utf8", "a\xff", 0, 1000, "c1\n00:00:00.000 --> 00:00:01.000\na\xef\xbf\xbd\n\n",
     "7\r\n00:00:00,000 --> 00:00:01,000\r\na\xef\xbf\xbd\r\n\r\n", "[0:00 - 0:01]  a\\xff\n"},
    {"japanese", "\xe7\x8c\xab\xe3\x81\x8c\xe3\x81\x84\xe3\x81\xbe\xe3\x81\x99\xe3\x80\x82", 0,
     1000,
     "c1\n00:00:00.000 --> 00:00:01.000\n"
     "\xe7\x8c\xab\xe3\x81\x8c\xe3\x81\x84\xe3\x81\xbe\xe3\x81\x99\xe3\x80\x82\n\n",
     NULL,
     "[0:00 - 0:01]  \xe7\x8c\xab\xe3\x81\x8c\xe3\x81\x84\xe3\x81\xbe\xe3\x81\x99\xe3\x80\x82\n"},
    {"bidi",
     "a\xe2\x80\xae"
     "b",
     0, 1000, NULL, NULL, "[0:00 - 0:01]  a\\u{202e}b\n"},
    {"empty", "", 0, 1000, "c1\n00:00:00.000 --> 00:00:01.000\n\n",
     "7\r\n00:00:00,000 --> 00:00:01,000\r\n\r\n", "[0:00 - 0:01]  \n"},
    {"unset", NULL, 0, 1000, "c1\n00:00:00.000 --> 00:00:01.000\n\n",
     "7\r\n00:00:00,000 --> 00:00:01,000\r\n\r\n", "[0:00 - 0:01]  \n"},
};

static MnkCaption *caption_of(const Case *c) {
  MnkCaption *caption = mnk_caption_new();
  caption->id = g_strdup("c1");
  caption->text = g_strdup(c->text);
  caption->start_ms = c->start_ms;
  caption->end_ms = c->end_ms;
  return caption;
}

static void test_case(gconstpointer data) {
  const Case *c = data;
  g_autoptr(MnkCaption) caption = caption_of(c);
  g_autoptr(GString) vtt = g_string_new(NULL), srt = g_string_new(NULL), line = g_string_new(NULL);
  mnk_vtt_write_cue(vtt, caption);
  mnk_srt_write_cue(srt, 7, caption);
  mnk_text_write_line(line, caption);
  if (c->vtt)
    g_assert_cmpstr(vtt->str, ==, c->vtt);
  if (c->srt)
    g_assert_cmpstr(srt->str, ==, c->srt);
  if (c->line)
    g_assert_cmpstr(line->str, ==, c->line);
  /* A cue ends at its first blank line; a text line is one line. */
  g_assert_true(strstr(vtt->str, "\n\n") == vtt->str + vtt->len - 2);
  g_assert_true(strstr(srt->str, "\r\n\r\n") == srt->str + srt->len - 4);
  g_assert_true(strchr(line->str, '\n') == line->str + line->len - 1);
  g_assert_null(strstr(strstr(vtt->str, "-->") + 3, "-->"));
  g_assert_null(strstr(strstr(srt->str, "-->") + 3, "-->"));
}

static void test_gap(void) {
  const Case c = {.start_ms = 65000, .end_ms = 69500};
  g_autoptr(MnkCaption) caption = caption_of(&c);
  g_ptr_array_add(caption->facts, mnk_fact_new(MNK_FACT_GAP, "worker --> died\n\nWEBVTT"));
  g_autoptr(GString) out = g_string_new(NULL);
  mnk_vtt_write_cue(out, caption);
  g_assert_cmpstr(out->str, ==,
                  "NOTE not seen: 00:01:05.000 to 00:01:09.500 worker --&gt; died WEBVTT\n\n");
  g_string_truncate(out, 0);
  mnk_srt_write_cue(out, 1, caption);
  g_assert_cmpstr(out->str, ==, "");
  mnk_text_write_line(out, caption);
  g_assert_cmpstr(out->str, ==, "[1:05 - 1:10]  (not seen: worker --> died  WEBVTT)\n");
  caption->text = g_strdup("Nothing was seen.");
  g_string_truncate(out, 0);
  mnk_text_write_line(out, caption);
  g_assert_cmpstr(out->str, ==, "[1:05 - 1:10]  Nothing was seen.\n");
}

static void test_header(void) {
  static const struct {
    const char *lang, *header;
  } headers[] = {
      {"en", "WEBVTT\nLanguage: en\n\n"},
      {"ja", "WEBVTT\nLanguage: ja\n\n"},
      {"pt-BR", "WEBVTT\nLanguage: pt-BR\n\n"},
      {NULL, "WEBVTT\n\n"},
      {"", "WEBVTT\n\n"},
      {"en\n\nx", "WEBVTT\n\n"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(headers); i++) {
    g_autoptr(GString) out = g_string_new(NULL);
    mnk_vtt_write_header(out, headers[i].lang);
    g_assert_cmpstr(out->str, ==, headers[i].header);
  }
}

/* An id cannot forge a cue or a note either. */
static void test_odd_ids(void) {
  static const struct {
    const char *id, *first;
  } ids[] = {
      {NULL, "00:00:00.000 --> "},
      {"", "00:00:00.000 --> "},
      {"a\n\nb", "a b\n00:00:00.000 --> "},
      {"a --> b", "a --&gt; b\n00:00:00.000 --> "},
  };
  for (guint i = 0; i < G_N_ELEMENTS(ids); i++) {
    g_autoptr(MnkCaption) caption = mnk_caption_new();
    caption->id = g_strdup(ids[i].id);
    g_autoptr(GString) out = g_string_new(NULL);
    mnk_vtt_write_cue(out, caption);
    g_assert_true(g_str_has_prefix(out->str, ids[i].first));
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strdup_printf("/wire/caption/text/%s", cases[i].name);
    g_test_add_data_func(path, &cases[i], test_case);
  }
  g_test_add_func("/wire/caption/text/gap", test_gap);
  g_test_add_func("/wire/caption/text/header", test_header);
  g_test_add_func("/wire/caption/text/odd-ids", test_odd_ids);
  return g_test_run();
}
