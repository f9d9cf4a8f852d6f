/* Trains on ten drawn digits, on the device itself, until it knows them. */
#include "digits.h"
#include "semihosting.h"

enum { EPOCHS = 30, CLASSES = 10, PIXELS = 64 };

_Static_assert(DIGITS_INPUT_SIZE == PIXELS && DIGITS_OUTPUT_SIZE == CLASSES,
               "the program takes 8x8 images and tells ten classes apart");

/* One row of eight pixels a byte, the leftmost pixel in the highest bit. */
static const uint8_t glyphs[CLASSES][8] = {
    {0x3C, 0x66, 0x66, 0x66, 0x66, 0x66, 0x3C, 0x00},
    {0x18, 0x38, 0x18, 0x18, 0x18, 0x18, 0x3C, 0x00},
    {0x3C, 0x66, 0x06, 0x0C, 0x18, 0x30, 0x7E, 0x00},
    {0x3C, 0x66, 0x06, 0x1C, 0x06, 0x66, 0x3C, 0x00},
    {0x0C, 0x1C, 0x3C, 0x6C, 0x7E, 0x0C, 0x0C, 0x00},
    {0x7E, 0x60, 0x7C, 0x06, 0x06, 0x66, 0x3C, 0x00},
    {0x3C, 0x60, 0x7C, 0x66, 0x66, 0x66, 0x3C, 0x00},
    {0x7E, 0x06, 0x0C, 0x18, 0x30, 0x30, 0x30, 0x00},
    {0x3C, 0x66, 0x66, 0x3C, 0x66, 0x66, 0x3C, 0x00},
    {0x3C, 0x66, 0x66, 0x3E, 0x06, 0x0C, 0x38, 0x00},
};

static void draw(int digit, float *pixels) {
  for (int row = 0; row < 8; ++row)
    for (int column = 0; column < 8; ++column)
      pixels[8 * row + column] = (float)(glyphs[digit][row] >> (7 - column) & 1);
}

static int classify(const float *pixels) {
  float score[CLASSES];
  int best = 0;
  digits_infer(pixels, score);
  for (int i = 1; i < CLASSES; ++i)
    if (score[i] > score[best])
      best = i;
  return best;
}

int main(void) {
  float pixels[PIXELS];

  digits_init();
  digits_set_learning_rate(0.01f);
  for (int epoch = 0; epoch < EPOCHS; ++epoch) {
    float total = 0.0f;
    for (int32_t digit = 0; digit < CLASSES; ++digit) {
      float loss = 0.0f;
      draw(digit, pixels);
      digits_step(pixels, &digit, &loss);
      total += loss;
    }
    if (epoch % 10 == 0 || epoch == EPOCHS - 1) {
      semihosting_print("epoch ");
      semihosting_print_int(epoch);
      semihosting_print(": loss ");
      semihosting_print_float(total / CLASSES, 4);
      semihosting_print("\n");
    }
  }

  int right = 0;
  for (int digit = 0; digit < CLASSES; ++digit) {
    draw(digit, pixels);
    right += classify(pixels) == digit;
  }
  semihosting_print("right: ");
  semihosting_print_int(right);
  semihosting_print(" of 10\n");
  return right == CLASSES ? 0 : 1;
}
