/* The timeline against scenes made by hand: intervals, counts, actions, cuts that come late, gaps.
 */
#include "facts/facts.h"

typedef struct {
  GPtrArray *scenes; /* of MnkScene, owned */
  MnkTimeline *timeline;
} Fixture;

static void keep(const MnkScene *scene, gpointer user) {
  g_ptr_array_add(user, mnk_scene_copy(scene));
}

static void set_up(Fixture *f, gconstpointer data) {
  MnkTimelineConfig config = {.caption_max_ms = 10000, .caption_min_ms = 2000};
  f->scenes = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_scene_free);
  f->timeline = mnk_timeline_new(&config, keep, f->scenes);
}

static void tear_down(Fixture *f, gconstpointer data) {
  mnk_timeline_free(f->timeline);
  g_ptr_array_unref(f->scenes);
}

static MnkObservation frame(gint64 pts_ms) {
  MnkObservation obs = {.type = MNK_OBS_FRAME, .pts_ms = pts_ms, .step_ms = 1000};
  obs.seq = (guint64)(pts_ms / 1000);
  obs.luma = 0.5f;
  obs.contrast = 0.2f;
  return obs;
}

static void add_object(MnkObservation *obs, const char *name, float score, float x, float y,
                       float w, float h) {
  MnkDetection *object = &obs->objects[obs->n_objects++];
  g_strlcpy(object->name, name, sizeof object->name);
  object->score = score;
  object->box = (MnkBox){x, y, w, h};
}

static void add_label(MnkObservation *obs, const char *name, float score) {
  MnkLabel *label = &obs->labels[obs->n_labels++];
  g_strlcpy(label->name, name, sizeof label->name);
  label->score = score;
}

static void see(Fixture *f, MnkObservation obs) {
  mnk_timeline_observe(f->timeline, &obs);
}

static void see_cut(Fixture *f, MnkCut kind, gint64 at_ms, gint64 end_ms) {
  MnkObservation obs = {.type = MNK_OBS_CUT, .pts_ms = at_ms, .step_ms = 1000};
  obs.cut = kind;
  obs.cut_ms = at_ms;
  obs.cut_end_ms = end_ms;
  see(f, obs);
}

static const MnkScene *scene(Fixture *f, guint index) {
  g_assert_cmpuint(index, <, f->scenes->len);
  return f->scenes->pdata[index];
}

static const MnkFact *fact(const MnkScene *scene, MnkFactKind kind, const char *name) {
  for (guint i = 0; i < scene->facts->len; i++) {
    const MnkFact *fact = scene->facts->pdata[i];
    if (fact->kind == kind && (name == NULL || g_str_equal(fact->name, name)))
      return fact;
  }
  return NULL;
}

static void assert_interval(const MnkScene *scene, gint64 start_ms, gint64 end_ms) {
  g_assert_cmpint(scene->start_ms, ==, start_ms);
  g_assert_cmpint(scene->end_ms, ==, end_ms);
}

static void test_one_picture(Fixture *f, gconstpointer data) {
  MnkObservation obs = frame(0);
  add_object(&obs, "cat", 0.6f, 0.2f, 0.2f, 0.5f, 0.5f);
  see(f, obs);
  mnk_timeline_finish(f->timeline, 40);
  g_assert_cmpuint(f->scenes->len, ==, 1);
  assert_interval(scene(f, 0), 0, 40);
  const MnkFact *cat = fact(scene(f, 0), MNK_FACT_OBJECT, "cat");
  g_assert_nonnull(cat);
  g_assert_cmpuint(cat->count, ==, 1);
  g_assert_cmpint(cat->end_ms, ==, 40);
}

static void test_closed_by_length(Fixture *f, gconstpointer data) {
  for (gint64 t = 0; t < 25000; t += 1000) {
    MnkObservation obs = frame(t);
    add_object(&obs, "car", 0.7f, 0.3f, 0.3f, 0.3f, 0.3f);
    see(f, obs);
  }
  mnk_timeline_finish(f->timeline, 25000);
  g_assert_cmpuint(f->scenes->len, ==, 3);
  assert_interval(scene(f, 0), 0, 10000);
  assert_interval(scene(f, 1), 10000, 20000);
  assert_interval(scene(f, 2), 20000, 25000);
  for (guint i = 0; i < 3; i++) {
    g_assert_true(scene(f, i)->final);
    g_assert_cmpuint(scene(f, i)->number, ==, i);
    g_assert_cmpuint(fact(scene(f, i), MNK_FACT_OBJECT, "car")->count, ==, 1);
  }
}

static void test_short_tail_joins_the_scene_before(Fixture *f, gconstpointer data) {
  for (gint64 t = 0; t <= 10000; t += 1000) {
    MnkObservation obs = frame(t);
    add_object(&obs, t < 10000 ? "car" : "bird", 0.7f, 0.3f, 0.3f, 0.3f, 0.3f);
    see(f, obs);
  }
  mnk_timeline_finish(f->timeline, 10130);
  g_assert_cmpuint(f->scenes->len, ==, 2);
  assert_interval(scene(f, 0), 0, 10000);
  assert_interval(scene(f, 1), 0, 10130);
  g_assert_cmpuint(scene(f, 1)->number, ==, scene(f, 0)->number);
  g_assert_null(fact(scene(f, 1), MNK_FACT_OBJECT, "bird"));
}

static void test_short_tail_after_a_cut_stands_alone(Fixture *f, gconstpointer data) {
  for (gint64 t = 0; t <= 5000; t += 1000)
    see(f, frame(t));
  see_cut(f, MNK_CUT_HARD, 5000, 5000);
  mnk_timeline_finish(f->timeline, 5500);
  g_assert_cmpuint(f->scenes->len, ==, 2);
  assert_interval(scene(f, 1), 5000, 5500);
}

static void test_cut_found_late(Fixture *f, gconstpointer data) {
  for (gint64 t = 0; t <= 6000; t += 1000) {
    MnkObservation obs = frame(t);
    add_object(&obs, t < 4000 ? "dog" : "bus", 0.8f, 0.3f, 0.3f, 0.4f, 0.4f);
    see(f, obs);
    if (t == 5000)
      see_cut(f, MNK_CUT_HARD, 3960, 3960);
  }
  mnk_timeline_finish(f->timeline, 7000);
  g_assert_cmpuint(f->scenes->len, ==, 2);
  assert_interval(scene(f, 0), 0, 3960);
  assert_interval(scene(f, 1), 3960, 7000);
  g_assert_true(scene(f, 0)->ends_at_cut);
  g_assert_true(scene(f, 1)->starts_at_cut);
  g_assert_cmpint(scene(f, 1)->cut, ==, MNK_CUT_HARD);
  g_assert_nonnull(fact(scene(f, 0), MNK_FACT_OBJECT, "dog"));
  g_assert_null(fact(scene(f, 0), MNK_FACT_OBJECT, "bus"));
  g_assert_nonnull(fact(scene(f, 1), MNK_FACT_OBJECT, "bus"));
  g_assert_null(fact(scene(f, 1), MNK_FACT_OBJECT, "dog"));
}

static void test_dissolve_ends_in_its_middle(Fixture *f, gconstpointer data) {
  for (gint64 t = 0; t <= 8000; t += 1000) {
    MnkObservation obs = frame(t);
    add_object(&obs, t <= 4000 ? "dog" : "bus", 0.8f, 0.3f, 0.3f, 0.4f, 0.4f);
    see(f, obs);
    if (t == 6000)
      see_cut(f, MNK_CUT_SOFT, 3500, 4900);
  }
  mnk_timeline_finish(f->timeline, 9000);
  g_assert_cmpuint(f->scenes->len, ==, 2);
  assert_interval(scene(f, 0), 0, 4200);
  g_assert_cmpint(scene(f, 1)->cut, ==, MNK_CUT_SOFT);
}

static void test_lasting_change(Fixture *f, gconstpointer data) {
  for (gint64 t = 0; t <= 9000; t += 1000) {
    MnkObservation obs = frame(t);
    add_object(&obs, "car", 0.8f, 0.1f, 0.5f, 0.3f, 0.3f);
    if (t >= 5000)
      add_object(&obs, "person", 0.8f, 0.6f, 0.2f, 0.2f, 0.6f);
    see(f, obs);
  }
  mnk_timeline_finish(f->timeline, 10000);
  g_assert_cmpuint(f->scenes->len, ==, 2);
  assert_interval(scene(f, 0), 0, 5000);
  assert_interval(scene(f, 1), 5000, 10000);
  g_assert_null(fact(scene(f, 0), MNK_FACT_OBJECT, "person"));
  g_assert_nonnull(fact(scene(f, 1), MNK_FACT_OBJECT, "person"));
}

static void test_flicker_is_no_change(Fixture *f, gconstpointer data) {
  for (gint64 t = 0; t < 10000; t += 1000) {
    MnkObservation obs = frame(t);
    add_object(&obs, "car", 0.8f, 0.1f, 0.5f, 0.3f, 0.3f);
    if (t % 2000 == 0)
      add_object(&obs, "person", 0.6f, 0.6f, 0.2f, 0.2f, 0.6f);
    see(f, obs);
  }
  mnk_timeline_finish(f->timeline, 10000);
  g_assert_cmpuint(f->scenes->len, ==, 1);
}

static void test_duplicates_hold_on(Fixture *f, gconstpointer data) {
  MnkObservation obs = frame(0);
  add_object(&obs, "horse", 0.7f, 0.3f, 0.3f, 0.4f, 0.4f);
  see(f, obs);
  for (gint64 t = 1000; t < 14000; t += 1000) {
    MnkObservation same = frame(t);
    same.type = MNK_OBS_DUPLICATE;
    see(f, same);
  }
  mnk_timeline_finish(f->timeline, 14000);
  g_assert_cmpuint(f->scenes->len, ==, 2);
  g_assert_nonnull(fact(scene(f, 1), MNK_FACT_OBJECT, "horse"));
}

static void test_counts(Fixture *f, gconstpointer data) {
  for (gint64 t = 0; t < 5000; t += 1000) {
    MnkObservation obs = frame(t);
    add_object(&obs, "person", 0.7f, 0.1f, 0.3f, 0.2f, 0.5f);
    add_object(&obs, "person", 0.6f, 0.4f, 0.3f, 0.2f, 0.5f);
    if (t != 2000)
      add_object(&obs, "person", 0.5f, 0.75f, 0.3f, 0.2f, 0.5f);
    see(f, obs);
  }
  mnk_timeline_finish(f->timeline, 5000);
  g_assert_cmpuint(fact(scene(f, 0), MNK_FACT_OBJECT, "person")->count, ==, 3);
}

static void test_names_agree(Fixture *f, gconstpointer data) {
  for (gint64 t = 0; t < 4000; t += 1000) {
    MnkObservation obs = frame(t);
    add_object(&obs, "dog", 0.32f, 0.2f, 0.2f, 0.6f, 0.6f);
    add_label(&obs, "cat", 0.87f);
    see(f, obs);
  }
  mnk_timeline_finish(f->timeline, 4000);
  g_assert_nonnull(fact(scene(f, 0), MNK_FACT_OBJECT, "cat"));
  g_assert_null(fact(scene(f, 0), MNK_FACT_OBJECT, "dog"));
}

/* Each picture alone: what the two models say of it, and the one word that is left. */
static void test_one_word(Fixture *f, gconstpointer data) {
  static const struct {
    const char *object;
    float object_score;
    const char *label;
    float label_score;
    const char *said;
  } CASES[] = {
      {"cow", 0.46f, "dog", 0.70f, "animal"},     /* both know both: what is true of both */
      {"cow", 0.46f, "dog", 0.85f, "dog"},        /* much surer */
      {"sheep", 0.74f, "goat", 0.74f, "goat"},    /* the detector knows no goats */
      {"bird", 0.52f, "animal", 0.96f, "animal"}, /* the classifier knows its birds */
      {"cat", 0.55f, "animal", 0.67f, "cat"},     /* but few cats */
      {"bird", 0.48f, "parrot", 0.89f, "parrot"}, {"car", 0.60f, "dog", 0.95f, "car"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    MnkObservation obs = frame((gint64)i * 1000);
    add_object(&obs, CASES[i].object, CASES[i].object_score, 0.1f, 0.1f, 0.7f, 0.7f);
    add_label(&obs, CASES[i].label, CASES[i].label_score);
    if (i > 0)
      see_cut(f, MNK_CUT_HARD, (gint64)i * 1000, (gint64)i * 1000);
    see(f, obs);
  }
  mnk_timeline_finish(f->timeline, G_N_ELEMENTS(CASES) * 1000);
  g_assert_cmpuint(f->scenes->len, ==, G_N_ELEMENTS(CASES));
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    const MnkFact *object = fact(scene(f, i), MNK_FACT_OBJECT, NULL);
    g_assert_nonnull(object);
    g_assert_cmpstr(object->name, ==, CASES[i].said);
  }
}

/* A label that holds on from the scene before is worth no more than what was seen of it. */
static void test_labels_that_hold_on(Fixture *f, gconstpointer data) {
  for (gint64 t = 0; t < 20000; t += 1000) {
    MnkObservation obs = frame(t);
    if (t == 0 || t == 14000)
      add_label(&obs, "cat", 0.3f);
    else
      obs.type = MNK_OBS_DUPLICATE;
    see(f, obs);
  }
  mnk_timeline_finish(f->timeline, 20000);
  g_assert_cmpuint(f->scenes->len, ==, 2);
  g_assert_cmpfloat_with_epsilon(fact(scene(f, 1), MNK_FACT_SCENE, "cat")->score, 0.3f, 0.01f);
}

static void test_noise_is_no_animal(Fixture *f, gconstpointer data) {
  MnkObservation obs = frame(0);
  add_label(&obs, "animal", 0.5f);
  add_label(&obs, "building", 0.4f);
  see(f, obs);
  mnk_timeline_finish(f->timeline, 40);
  g_assert_null(fact(scene(f, 0), MNK_FACT_SCENE, "animal"));
  g_assert_nonnull(fact(scene(f, 0), MNK_FACT_SCENE, "building"));
}

static void test_moves_left(Fixture *f, gconstpointer data) {
  for (gint64 t = 0; t < 6000; t += 1000) {
    MnkObservation obs = frame(t);
    add_object(&obs, "person", 0.8f, 0.7f - (float)t / 1000 * 0.1f, 0.3f, 0.12f, 0.4f);
    see(f, obs);
  }
  mnk_timeline_finish(f->timeline, 6000);
  const MnkFact *action = fact(scene(f, 0), MNK_FACT_ACTION, NULL);
  g_assert_nonnull(action);
  g_assert_cmpstr(action->name, ==, "moves left");
  g_assert_cmpstr(action->of, ==, "person");
}

static void test_camera_pan_is_not_the_thing_moving(Fixture *f, gconstpointer data) {
  for (gint64 t = 0; t < 6000; t += 1000) {
    MnkObservation obs = frame(t);
    obs.motion = (MnkCameraMotion){.valid = TRUE, .dx = -0.1f, .inliers = 0.9f};
    add_object(&obs, "person", 0.8f, 0.7f - (float)t / 1000 * 0.1f, 0.3f, 0.12f, 0.4f);
    see(f, obs);
  }
  mnk_timeline_finish(f->timeline, 6000);
  g_assert_null(fact(scene(f, 0), MNK_FACT_ACTION, NULL));
  g_assert_nonnull(fact(scene(f, 0), MNK_FACT_CAMERA, "pan right"));
}

static void test_gap(Fixture *f, gconstpointer data) {
  see(f, frame(0));
  see(f, frame(1000));
  mnk_timeline_gap(f->timeline, 2000, 4000, "the source was away");
  see(f, frame(4000));
  mnk_timeline_finish(f->timeline, 5000);
  g_assert_cmpuint(f->scenes->len, ==, 3);
  assert_interval(scene(f, 0), 0, 2000);
  assert_interval(scene(f, 1), 2000, 4000);
  g_assert_nonnull(fact(scene(f, 1), MNK_FACT_GAP, "the source was away"));
  assert_interval(scene(f, 2), 4000, 5000);
}

static void test_clock_jumps_back(Fixture *f, gconstpointer data) {
  see(f, frame(100000));
  see(f, frame(101000));
  MnkObservation obs = frame(0);
  obs.epoch = 1;
  see(f, obs);
  mnk_timeline_finish(f->timeline, 1000);
  g_assert_cmpuint(f->scenes->len, ==, 2);
  assert_interval(scene(f, 0), 100000, 102000);
  assert_interval(scene(f, 1), 0, 1000);
}

/* It was closed up to where its last picture was thought to end. */
static void test_closed_too_late(Fixture *f, gconstpointer data) {
  MnkObservation obs = frame(0);
  obs.step_ms = 4000;
  add_object(&obs, "cat", 0.9f, 0.2f, 0.2f, 0.5f, 0.5f);
  see(f, obs);
  mnk_timeline_close(f->timeline, 4000);
  see(f, frame(1000));
  see(f, frame(5000));
  mnk_timeline_finish(f->timeline, 8000);
  g_assert_cmpuint(f->scenes->len, ==, 2);
  assert_interval(scene(f, 0), 0, 4000);
  assert_interval(scene(f, 1), 4000, 8000);
}

static void test_goes_on(Fixture *f, gconstpointer data) {
  mnk_timeline_go_on(f->timeline, 5000);
  see(f, frame(3000));
  see(f, frame(6000));
  mnk_timeline_finish(f->timeline, 9000);
  g_assert_cmpuint(f->scenes->len, ==, 1);
  assert_interval(scene(f, 0), 5000, 9000);
}

static void test_a_pause_after_a_close(Fixture *f, gconstpointer data) {
  MnkObservation obs = frame(0);
  add_object(&obs, "cat", 0.9f, 0.2f, 0.2f, 0.5f, 0.5f);
  see(f, obs);
  mnk_timeline_close(f->timeline, 4000);
  obs.pts_ms = 20000;
  see(f, obs);
  mnk_timeline_finish(f->timeline, 22000);
  g_assert_cmpuint(f->scenes->len, ==, 3);
  assert_interval(scene(f, 1), 4000, 14000);
  g_assert_nonnull(fact(scene(f, 1), MNK_FACT_OBJECT, "cat"));
  assert_interval(scene(f, 2), 14000, 22000);
}

static void test_peek_changes_nothing(Fixture *f, gconstpointer data) {
  see(f, frame(0));
  see(f, frame(1000));
  mnk_timeline_peek(f->timeline);
  g_assert_cmpuint(f->scenes->len, ==, 1);
  g_assert_false(scene(f, 0)->final);
  mnk_timeline_finish(f->timeline, 2000);
  g_assert_cmpuint(f->scenes->len, ==, 2);
  g_assert_cmpuint(scene(f, 1)->number, ==, scene(f, 0)->number);
}

static void test_nothing_seen(Fixture *f, gconstpointer data) {
  mnk_timeline_peek(f->timeline);
  mnk_timeline_finish(f->timeline, 1000);
  g_assert_cmpuint(f->scenes->len, ==, 0);
}

/* Whatever comes: scenes lie one after the other, and facts inside their scenes. */
static void test_random_streams(Fixture *f, gconstpointer data) {
  static const char *const NAMES[] = {"person", "dog", "cat", "car", "bus", "bird"};
  for (guint32 seed = 0; seed < 200; seed++) {
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    g_ptr_array_set_size(f->scenes, 0);
    gint64 t = 0;
    for (guint i = 0; i < 60; i++) {
      MnkObservation obs = frame(t);
      if (g_rand_int_range(rand, 0, 4) == 0)
        obs.type = MNK_OBS_DUPLICATE;
      for (gint32 k = g_rand_int_range(rand, 0, 5); k > 0; k--)
        add_object(&obs, NAMES[g_rand_int_range(rand, 0, 6)],
                   (float)g_rand_double_range(rand, 0.2, 1),
                   (float)g_rand_double_range(rand, 0, 0.7),
                   (float)g_rand_double_range(rand, 0, 0.7), 0.2f, 0.3f);
      see(f, obs);
      if (g_rand_int_range(rand, 0, 10) == 0)
        see_cut(f, g_rand_boolean(rand) ? MNK_CUT_HARD : MNK_CUT_SOFT, MAX(t - 700, 0), t + 100);
      t += g_rand_int_range(rand, 200, 3000);
    }
    mnk_timeline_finish(f->timeline, t);
    gint64 end_ms = 0;
    for (guint i = 0; i < f->scenes->len; i++) {
      const MnkScene *s = scene(f, i);
      gboolean again = i > 0 && s->number == scene(f, i - 1)->number;
      g_assert_cmpint(s->start_ms, ==, again ? scene(f, i - 1)->start_ms : end_ms);
      g_assert_cmpint(s->end_ms, >, s->start_ms);
      g_assert_cmpint(s->end_ms - s->start_ms, <=, again ? 12000 : 10000);
      for (guint k = 0; k < s->facts->len; k++) {
        const MnkFact *x = s->facts->pdata[k];
        g_assert_cmpint(x->start_ms, >=, s->start_ms);
        g_assert_cmpint(x->start_ms, <=, x->end_ms);
        g_assert_cmpint(x->end_ms, <=, s->end_ms);
        g_assert_cmpfloat(x->score, >=, 0);
        g_assert_cmpfloat(x->score, <=, 1);
      }
      end_ms = s->end_ms;
    }
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
#define ADD(name, function)                                                                        \
  g_test_add("/facts/timeline/" name, Fixture, NULL, set_up, function, tear_down)
  ADD("one picture", test_one_picture);
  ADD("closed by length", test_closed_by_length);
  ADD("short tail joins the scene before", test_short_tail_joins_the_scene_before);
  ADD("short tail after a cut stands alone", test_short_tail_after_a_cut_stands_alone);
  ADD("cut found late", test_cut_found_late);
  ADD("dissolve ends in its middle", test_dissolve_ends_in_its_middle);
  ADD("lasting change", test_lasting_change);
  ADD("flicker is no change", test_flicker_is_no_change);
  ADD("duplicates hold on", test_duplicates_hold_on);
  ADD("counts", test_counts);
  ADD("names agree", test_names_agree);
  ADD("one word of two models", test_one_word);
  ADD("labels that hold on", test_labels_that_hold_on);
  ADD("noise is no animal", test_noise_is_no_animal);
  ADD("moves left", test_moves_left);
  ADD("a pan is not the thing moving", test_camera_pan_is_not_the_thing_moving);
  ADD("gap", test_gap);
  ADD("clock jumps back", test_clock_jumps_back);
  ADD("closed too late", test_closed_too_late);
  ADD("goes on", test_goes_on);
  ADD("a pause after a close", test_a_pause_after_a_close);
  ADD("peek changes nothing", test_peek_changes_nothing);
  ADD("nothing seen", test_nothing_seen);
  ADD("random streams", test_random_streams);
  return g_test_run();
}
