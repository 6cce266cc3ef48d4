<?php
require __DIR__ . '/verify.php';

echo verify(...array_slice($argv, 1)) ? 'true' : 'false';
