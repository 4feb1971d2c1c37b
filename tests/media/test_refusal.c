/* What is refused, and in which words. */
#include <glib/gstdio.h>
#include <string.h>

#include "base/base.h"
#include "clips.h"

/* ---- Refused ---- */

static void refused(const char *path, int code, const char *part) {
  int got = -1;
  g_autofree char *message = clip_refusal(path, &got);
  g_assert_nonnull(message);
  g_test_message("%s", message);
  g_assert_cmpint(got, ==, code);
  if (!strstr(message, part))
    g_error("'%s' does not say '%s'", message, part);
}

static void refused_bytes(const char *name, const char *bytes, gsize length, const char *part) {
  g_autofree char *path = clip_write(name, bytes, length);
  refused(path, MNK_ERROR_BAD_INPUT, part);
  g_assert_cmpint(g_remove(path), ==, 0);
}

static void test_not_video(void) {
  static const char text[] = "Dear diary,\n\ntoday I named a letter like a film.\n";
  refused_bytes("letter.mp4", text, sizeof text - 1, "is not a video file");
  refused_bytes("empty.mp4", "", 0, "is empty");
  refused_bytes("one.mp4", "x", 1, "is not a video file");
  static const char playlist[] = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\n/etc/passwd\n";
  refused_bytes("list.mp4", playlist, sizeof playlist - 1, "looks like 'hls'");
  static const char concat[] = "ffconcat version 1.0\nfile /etc/hostname\n";
  refused_bytes("concat.mp4", concat, sizeof concat - 1, "looks like 'concat'");
  static const char sdp[] = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
                            "m=video 5004 RTP/AVP 96\na=rtpmap:96 CLIP_H264/90000\n";
  refused_bytes("session.mp4", sdp, sizeof sdp - 1, "looks like 'sdp'");
  static const char subtitles[] = "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n"
                                  "2\n00:00:03,000 --> 00:00:04,000\nAgain\n";
  refused_bytes("words.mp4", subtitles, sizeof subtitles - 1, "looks like 'srt'");
  refused(".", MNK_ERROR_BAD_INPUT, "is a folder");
}

static void test_no_such_descriptor(void) {
  refused("no-such-file.mp4", MNK_ERROR_NOT_FOUND, "no-such-file.mp4 is not open");
}

static void test_audio_only(void) {
  static const char *const names[][2] = {
      {"sound.mp3", "has no video, only audio (mp3)"},
      {"sound.mp4", "has no video, only audio (aac)"},
      {"sound.wav", "has no video, only audio (pcm_s16le)"},
      {"sound.flac", "has no video, only audio (flac)"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path = clip_make(names[i][0], "-f lavfi -i sine=frequency=440:duration=1", "");
    if (path)
      refused(path, MNK_ERROR_BAD_INPUT, names[i][1]);
  }
}

/* The picture on a record's sleeve is no video. */
static void test_cover(void) {
  g_autofree char *path = clip_make(
      "cover.mp3", "-f lavfi -i sine=duration=1 -f lavfi -i color=red:size=64x64:duration=0.04",
      "-map 0 -map 1 -c:v png -frames:v 1 -disposition:v attached_pic -id3v2_version 3");
  if (path)
    refused(path, MNK_ERROR_BAD_INPUT, "only audio (mp3)");
}

static char *altered(const char *path, const char *name, const char *from, const char *to) {
  g_autofree char *bytes = NULL;
  gsize length;
  g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
  gboolean found = FALSE;
  for (char *at = bytes; (at = memmem(at, length - (gsize)(at - bytes), from, strlen(from)));
       at += strlen(to), found = TRUE)
    memcpy(at, to, strlen(to));
  g_assert_true(found);
  return clip_write(name, bytes, length);
}

static void test_no_decoder(void) {
  g_autofree char *path = clip_coded("plain.mp4", CLIP_H264);
  if (!path)
    return;
  g_autofree char *unknown = altered(path, "unknown.mp4", "avc1", "zqx1");
  refused(unknown, MNK_ERROR_UNSUPPORTED, "video codec 'zqx1'");
  g_autofree char *avi = clip_coded("plain.avi", "-c:v mpeg4 -vtag XVID");
  if (!avi)
    return;
  g_autofree char *unknown_avi = altered(avi, "unknown.avi", "XVID", "ZQX2");
  refused(unknown_avi, MNK_ERROR_UNSUPPORTED, "video codec 'ZQX2'");
}

/* ---- Limits ---- */

static void test_too_large(void) {
  static const char *const names[] = {"large.png", "large.jpg", "large.mp4",
                                      "large.mkv", "large.ts",  "large.gif"};
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path =
        clip_make(names[i], "-f lavfi -i color=gray:size=640x480:rate=5", "-frames:v 3 -update 1");
    if (!path) {
      path = clip_make(names[i], "-f lavfi -i color=gray:size=640x480:rate=5", "-frames:v 3");
      if (!path)
        continue;
    }
    MnkSourceConfig config = clip_config(path);
    config.max_pixels = 640 * 480 - 1;
    g_autoptr(GError) error = NULL;
    g_autoptr(MnkSource) source = mnk_source_open(&config, &error);
    g_assert_null(source);
    g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
    g_assert_nonnull(strstr(error->message, "640 x 480"));
    g_assert_nonnull(strstr(error->message, "307199"));
    config = clip_config(path);
    config.max_pixels = 640 * 480;
    g_autoptr(MnkSource) other = clip_open(&config);
    g_autoptr(ClipRead) read = clip_read(other, 1);
    g_assert_cmpuint(read->frames->len, ==, 1);
  }
}

/* A header that says 30,000 x 30,000 is refused, whatever follows it. */
static void test_giant_header(void) {
  g_autofree char *path =
      clip_make("tiny.png", "-f lavfi -i color=gray:size=64x64:rate=5", "-frames:v 1");
  if (!path)
    return;
  g_autofree char *bytes = NULL;
  gsize length;
  g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
  static const guint8 giant[] = {0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30};
  static const guint8 none[] = {0, 0, 0, 0, 0, 0, 0, 0};
  /* IHDR: 8 bytes of signature, length, type, then width and height; its checksum is not looked at
   * before the size. */
  memcpy(bytes + 16, giant, sizeof giant);
  g_autofree char *large = clip_write("giant.png", bytes, length);
  int code;
  g_autofree char *message = clip_refusal(large, &code);
  g_assert_nonnull(message);
  g_test_message("%s", message);
  g_assert_true(code == MNK_ERROR_LIMIT || code == MNK_ERROR_BAD_INPUT);
  memcpy(bytes + 16, none, sizeof none);
  g_autofree char *zero = clip_write("zero.png", bytes, length);
  g_autofree char *other = clip_refusal(zero, &code);
  g_assert_nonnull(other);
  g_test_message("%s", other);
  g_assert_cmpint(code, ==, MNK_ERROR_BAD_INPUT);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/media/refusal/not-video", test_not_video);
  g_test_add_func("/media/refusal/no-such-descriptor", test_no_such_descriptor);
  g_test_add_func("/media/refusal/audio-only", test_audio_only);
  g_test_add_func("/media/refusal/cover", test_cover);
  g_test_add_func("/media/refusal/no-decoder", test_no_decoder);
  g_test_add_func("/media/refusal/too-large", test_too_large);
  g_test_add_func("/media/refusal/giant-header", test_giant_header);
  return g_test_run();
}
