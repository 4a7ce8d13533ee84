"""Networks of images from noise, and of classes: DCGAN's convolutional ones, and those of the first two papers."""
