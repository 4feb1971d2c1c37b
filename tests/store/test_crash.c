/* kill -9 in the midst of writing: what was answered is in the file, once, with the picture that
 * was put before it; and reading while another process writes. The program starts itself as the
 * writer. */
#include "base/base.h"
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 5, WAITING = 32 };

static const char *own_path;

/* ---- The child ---- */

typedef struct {
  MnkStore *store;
  const char *prefix;
  guint next;
  guint64 seq;
  GBytes *jpeg;
} Writer;

static void put_next(Writer *writer);

/* One write() a line, so that a line is whole or absent. */
static void print_and_go_on(const GError *error, gpointer user) {
  Writer *writer = ((gpointer *)user)[0];
  g_autofree char *id = ((gpointer *)user)[1];
  g_free(user);
  if (error != NULL)
    g_error("%s", error->message);
  g_autofree char *line = g_strconcat(id, "\n", NULL);
  if (write(STDOUT_FILENO, line, strlen(line)) < 0)
    _exit(0);
  put_next(writer);
}

/* A picture and its caption; and now and then a stream that comes and goes. */
static void put_next(Writer *writer) {
  char *id = g_strdup_printf("%s-%u", writer->prefix, writer->next);
  if (writer->next % 16 == 0)
    put_text(writer->store, "passing", id, "A dog.");
  if (writer->next % 64 == 63)
    mnk_store_delete_stream(writer->store, "passing", NULL, NULL);
  g_autoptr(MnkCaption) caption =
      make_caption("cam", id, writer->next, writer->next + 1, "A cat sits on 赤い車.");
  add_fact(caption, MNK_FACT_OBJECT, "cat");
  caption->seq = ++writer->seq;
  mnk_store_put_picture(writer->store, "cam", (gint64)caption->seq, writer->jpeg);
  writer->next++;
  gpointer *user = g_new(gpointer, 2);
  user[0] = writer;
  user[1] = id;
  mnk_store_put_caption(writer->store, caption, print_and_go_on, user);
}

G_NORETURN static void write_for_ever(const char *path, const char *prefix) {
  g_autoptr(GError) error = NULL;
  Writer writer = {.store = mnk_store_open(path, MNK_STORE_WRITE, &error), .prefix = prefix};
  if (writer.store == NULL)
    g_error("%s", error->message);
  MnkStreamRow *row = mnk_store_stream(writer.store, "cam", NULL);
  writer.seq = row != NULL ? row->last_seq : 0;
  mnk_stream_row_free(row);
  g_autofree char *jpeg = g_strnfill(10000, 'j');
  writer.jpeg = g_bytes_new(jpeg, 10000);
  for (guint i = 0; i < WAITING; i++)
    put_next(&writer);
  for (;;)
    g_main_context_iteration(NULL, TRUE);
}

/* ---- The parent ---- */

static GPid start_writer(const Place *place, const char *prefix, FILE **out) {
  const char *argv[] = {own_path, "--writer", place->path, prefix, NULL};
  g_autoptr(GError) error = NULL;
  GPid child;
  int fd;
  g_spawn_async_with_pipes(NULL, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &child,
                           NULL, &fd, NULL, &error);
  g_assert_no_error(error);
  *out = fdopen(fd, "r");
  return child;
}

static gboolean read_id(FILE *out, GHashTable *printed) {
  char line[64];
  if (fgets(line, sizeof line, out) == NULL)
    return FALSE;
  g_assert_true(g_hash_table_add(printed, g_strdup(g_strchomp(line))));
  return TRUE;
}

static void stop_writer(GPid child, FILE *out, GHashTable *printed) {
  kill(child, SIGKILL);
  while (read_id(out, printed))
    ;
  fclose(out);
  int status;
  g_assert_cmpint(waitpid(child, &status, 0), ==, child);
  g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Each caption has its own seq, none is left out, and each has its picture. */
static void assert_in_order(MnkStore *store) {
  g_autoptr(GPtrArray) captions = mnk_store_captions_since(store, "cam", 0, G_MAXUINT, NULL);
  g_autoptr(GArray) pictures = mnk_store_pictures(store, "cam", 0, -1, G_MAXUINT, NULL);
  g_assert_cmpuint(pictures->len, >=, captions->len);
  for (guint i = 0; i < captions->len; i++) {
    g_assert_cmpuint(((MnkCaption *)captions->pdata[i])->seq, ==, i + 1);
    g_assert_cmpint(g_array_index(pictures, gint64, i), ==, i + 1);
  }
}

static void assert_all_there(const Place *place, GHashTable *printed) {
  g_autoptr(MnkStore) store = open_store(place, MNK_STORE_READ);
  g_autoptr(GPtrArray) captions = mnk_store_captions(store, "cam", 0, -1, G_MAXUINT, NULL);
  g_autoptr(GHashTable) kept = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; i < captions->len; i++)
    g_assert_true(g_hash_table_add(kept, ((MnkCaption *)captions->pdata[i])->id));
  GHashTableIter ids;
  gpointer id;
  g_hash_table_iter_init(&ids, printed);
  while (g_hash_table_iter_next(&ids, &id, NULL))
    if (!g_hash_table_contains(kept, id))
      g_error("%s was answered and is not there", (const char *)id);

  g_autoptr(GPtrArray) cats = mnk_store_search(store, "猫 OR", NULL, 0, -1, G_MAXUINT, NULL);
  g_autoptr(GPtrArray) cars = mnk_store_search(store, "赤い車 cat", NULL, 0, -1, G_MAXUINT, NULL);
  g_assert_cmpuint(cats->len, ==, 0);
  g_assert_cmpuint(cars->len, ==, captions->len);
}

static void test_kill(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(GHashTable) printed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint round = 0; round < ROUNDS; round++) {
    g_autofree char *prefix = g_strdup_printf("r%u", round);
    FILE *out;
    GPid child = start_writer(&place, prefix, &out);
    guint before = g_hash_table_size(printed);
    for (gint lines = g_test_rand_int_range(1, 400); lines > 0; lines--)
      g_assert_true(read_id(out, printed));
    g_usleep((gulong)g_test_rand_int_range(0, 20000));
    stop_writer(child, out, printed);
    g_assert_cmpuint(g_hash_table_size(printed), >, before);

    assert_all_there(&place, printed);
    g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_READ);
    assert_in_order(store);
    g_clear_pointer(&store, mnk_store_close);
    assert_timeline_sound(&place);
    g_autofree char *clean = ask_sql(place.path, "SELECT value FROM meta WHERE key = 'clean'");
    g_assert_cmpstr(clean, ==, "0");
  }
  g_test_message("%u captions answered", g_hash_table_size(printed));
}

static void test_read_while_another_writes(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(GHashTable) printed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  FILE *out;
  GPid child = start_writer(&place, "w", &out);
  g_assert_true(read_id(out, printed));
  {
    g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_READ);
    for (guint i = 0; i < 20; i++) {
      g_assert_true(read_id(out, printed));
      g_autoptr(GPtrArray) found = mnk_store_captions(store, "cam", 0, -1, G_MAXUINT, NULL);
      g_autoptr(GPtrArray) hits = mnk_store_search(store, "cat", NULL, 0, -1, G_MAXUINT, NULL);
      g_assert_cmpuint(found->len, >=, g_hash_table_size(printed));
      g_assert_cmpuint(hits->len, >=, found->len);
    }
  }
  stop_writer(child, out, printed);
}

/* Two processes open the same new file, and both write. */
static void test_two_writers(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(GHashTable) printed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  enum { WRITERS = 3 };
  FILE *outs[WRITERS];
  GPid children[WRITERS];
  for (guint i = 0; i < WRITERS; i++) {
    g_autofree char *prefix = g_strdup_printf("w%u", i);
    children[i] = start_writer(&place, prefix, &outs[i]);
  }
  for (guint line = 0; line < 20; line++)
    for (guint i = 0; i < WRITERS; i++)
      g_assert_true(read_id(outs[i], printed));
  for (guint i = 0; i < WRITERS; i++)
    stop_writer(children[i], outs[i], printed);
  assert_all_there(&place, printed);
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "--writer") == 0)
    write_for_ever(argv[2], argv[3]);
  g_autofree char *self = mnk_path_self(NULL);
  own_path = self;
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/crash/kill", test_kill);
  g_test_add_func("/crash/read-while-another-writes", test_read_while_another_writes);
  g_test_add_func("/crash/two-writers", test_two_writers);
  return g_test_run();
}
